package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/identity"
)

// frame is one event as a browser would see it.
type frame struct {
	id   string
	name string
	data map[string]any
}

func (f *frame) num(name string) int {
	v, _ := f.data[name].(float64)
	return int(v)
}

// ear is an open event stream.
type ear struct {
	n      *node
	stop   context.CancelFunc
	frames chan frame // closed when the stream ends
	last   string     // Last-Event-ID
}

// listen opens a stream and reads it until it ends.
func (n *node) listen(path string, lines ...string) *ear {
	n.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", n.url+path, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header = header(lines...)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	n.checkSpec(req, nil, &got{status: resp.StatusCode, header: resp.Header})
	if resp.StatusCode != 200 || resp.Header.Get("X-Accel-Buffering") != "no" {
		n.t.Fatalf("%s: %d %v", path, resp.StatusCode, resp.Header)
	}
	e := &ear{n: n, stop: cancel, frames: make(chan frame)}
	go func() {
		defer close(e.frames)
		defer resp.Body.Close()
		var f frame
		for sc := bufio.NewScanner(resp.Body); sc.Scan(); {
			name, value, _ := strings.Cut(sc.Text(), ": ")
			switch name {
			case "id":
				f.id = value
			case "event":
				f.name = value
			case "data":
				if err := json.Unmarshal([]byte(value), &f.data); err != nil {
					n.t.Errorf("%v: %s", err, value)
				}
			case "":
				if f.id != "" || f.name != "" {
					select {
					case e.frames <- f:
					case <-ctx.Done():
						return
					}
				}
				f = frame{}
			}
		}
	}()
	n.t.Cleanup(cancel)
	return e
}

// next is the next event, which must have the name; "" is the mere id that a
// stream begins with.
func (e *ear) next(name string) frame {
	e.n.t.Helper()
	select {
	case f, ok := <-e.frames:
		if !ok || f.name != name {
			e.n.t.Fatalf("got %q (%v, %v), want %q", f.name, ok, f.data, name)
		}
		if f.id != "" {
			e.last = f.id
		}
		return f
	case <-time.After(10 * time.Second):
		e.n.t.Fatalf("no %q came", name)
		return frame{}
	}
}

// end checks that the stream is over.
func (e *ear) end() {
	e.n.t.Helper()
	select {
	case f, ok := <-e.frames:
		if ok {
			e.n.t.Fatalf("got %q (%v), want the end", f.name, f.data)
		}
	case <-time.After(10 * time.Second):
		e.n.t.Fatal("the stream did not end")
	}
}

func TestEventsLive(t *testing.T) {
	n := newNode(t, nil)
	e := n.listen("/v1/rooms/r/events", "as ann") // makes the room
	first := e.next("")
	n.want(201, "POST", "/v1/rooms/r/messages", "{\"message\":\"line\\nevent: gap\\n\\n\",\"data\":{\"a\":\n\n1}}", "as ann")
	m := e.next("message")
	if m.id != strconv.Itoa(m.num("rev")) || m.data["message"] != "line\nevent: gap\n\n" || m.data["data"].(map[string]any)["a"] != 1.0 {
		t.Errorf("%+v", m)
	}
	n.want(200, "PATCH", "/v1/rooms/r/messages/1", `{"message":"b"}`, "as ann")
	n.want(200, "PUT", "/v1/rooms/r/messages/1/reactions/%F0%9F%91%8D", nil, "as ann")
	e.next("edited")
	e.next("reacted") // what passes may overtake what is stored: the answer comes before the event
	n.want(204, "POST", "/v1/rooms/r/typing", `{}`, "as ann")
	if f := e.next("typing"); f.id != "" {
		t.Errorf("an ephemeral event has the id %s", f.id)
	}
	n.want(200, "DELETE", "/v1/rooms/r/messages/1", nil, "as ann")
	n.want(200, "PUT", "/v1/rooms/r", `{"title":"T"}`, "as ann")
	n.want(204, "PUT", "/v1/rooms/r/members/bob", `{"role":"member"}`, "as ann")
	e.next("deleted")
	e.next("room")
	last := e.next("member")

	// The same from the beginning and from before the message: as it is now.
	back := n.listen("/v1/rooms/r/events?after=0", "as ann")
	back.next("")
	for _, name := range []string{"member", "deleted", "room", "member"} {
		back.next(name)
	}
	if back.last != last.id {
		t.Errorf("came to %s, want %s", back.last, last.id)
	}
	none := n.listen("/v1/rooms/r/events?after="+first.id, "as ann", "Last-Event-ID: "+last.id)
	none.next("")
	n.want(201, "POST", "/v1/rooms/r/messages", `{"message":"c"}`, "as ann")
	for _, x := range []*ear{e, back, none} {
		if f := x.next("message"); f.num("seq") != 2 {
			t.Errorf("%+v", f)
		}
	}
	reset := n.listen("/v1/rooms/r/events", "as ann", "Last-Event-ID: 999")
	reset.next("")
	if f := reset.next("reset"); f.id != strconv.Itoa(f.num("rev")) || f.num("rev") >= 999 {
		t.Errorf("%+v", f)
	}
	n.want(201, "POST", "/v1/rooms/r/messages", `{"message":"d"}`, "as ann")
	reset.next("message")
}

func TestEventsEditedWhileAway(t *testing.T) {
	n := newNode(t, nil)
	n.want(201, "POST", "/v1/rooms/r/messages", `{"message":"old"}`, "as ann")
	e := n.listen("/v1/rooms/r/events", "as ann")
	e.next("")
	e.stop()
	n.want(201, "POST", "/v1/rooms/r/messages", `{"message":"new"}`, "as ann")
	n.want(200, "PATCH", "/v1/rooms/r/messages/2", `{"message":"newer"}`, "as ann")
	n.want(200, "PUT", "/v1/rooms/r/messages/1/reactions/%F0%9F%91%8D", nil, "as ann")
	e = n.listen("/v1/rooms/r/events", "as ann", "Last-Event-ID: "+e.last)
	e.next("")
	if f := e.next("message"); f.num("seq") != 2 || f.data["message"] != "newer" {
		t.Errorf("%+v", f)
	}
	if f := e.next("edited"); f.num("seq") != 1 || f.data["reactions"] == nil || f.data["message"] != "old" {
		t.Errorf("%+v", f)
	}
}

// While four users send, a reader drops its stream again and again and comes
// back with Last-Event-ID. It gets every message once, in order.
func TestEventsResumeExactlyOnce(t *testing.T) {
	n := newNode(t, nil)
	const each, senders = 150, 4
	e := n.listen("/v1/rooms/r/events", "as ann")
	e.next("")
	var wg sync.WaitGroup
	for i := range senders {
		user := chat.UserID(fmt.Sprint("u", i))
		a := engine.Actor{User: user}
		wg.Go(func() {
			if _, err := n.engine.Join(t.Context(), a, "r", engine.JoinOptions{}); err != nil {
				t.Error(err)
			}
			for j := range each {
				if _, err := n.engine.Do(t.Context(), a, &change.Send{Room: "r", Draft: chat.Draft{Text: fmt.Sprint(j)}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	last, _ := strconv.Atoi(e.last)
	streams := 1
	for seq := 1; seq <= each*senders; {
		f := <-e.frames
		if f.id == "" {
			t.Fatalf("after %d: got %q %v", seq-1, f.name, f.data)
		}
		id, _ := strconv.Atoi(f.id)
		if f.name == "" {
			if id != last {
				t.Fatalf("came back at %d, want %d", id, last)
			}
			continue
		}
		if id != last+1 {
			t.Fatalf("%s has rev %d after %d", f.name, id, last)
		}
		last = id
		if f.name != "message" {
			continue
		}
		if f.num("seq") != seq {
			t.Fatalf("seq %d, want %d", f.num("seq"), seq)
		}
		if seq++; seq%40 == 0 {
			e.stop()
			e = n.listen("/v1/rooms/r/events", "as ann", "Last-Event-ID: "+strconv.Itoa(last))
			streams++
		}
	}
	wg.Wait()
	if streams < 10 {
		t.Errorf("only %d streams", streams)
	}
}

// When the bus loses an event the stream says gap and ends; the event comes on
// the next one.
func TestEventsGap(t *testing.T) {
	n := newNode(t, nil)
	e := n.listen("/v1/rooms/r/events", "as ann")
	e.next("")
	n.want(201, "POST", "/v1/rooms/r/messages", `{"message":"1"}`, "as ann")
	e.next("message")
	n.bus.lose.Store(true)
	n.want(201, "POST", "/v1/rooms/r/messages", `{"message":"2"}`, "as ann")
	n.want(201, "POST", "/v1/rooms/r/messages", `{"message":"3"}`, "as ann")
	if g := e.next("gap"); g.data["reason"] != chat.GapLost.String() {
		t.Errorf("%+v", g)
	}
	e.end()
	e = n.listen("/v1/rooms/r/events", "as ann", "Last-Event-ID: "+e.last)
	e.next("")
	for seq := 2; seq <= 3; seq++ {
		if f := e.next("message"); f.num("seq") != seq {
			t.Errorf("%+v", f)
		}
	}
}

func TestEventsEnd(t *testing.T) {
	n := newNode(t, nil)
	n.api.heartbeat = 20 * time.Millisecond
	admin := n.key(identity.ScopeAll)
	n.want(201, "PUT", "/v1/rooms/r", `{"open":true}`, admin)
	bye := func(e *ear, code int) {
		t.Helper()
		if f := e.next("goodbye"); f.num("code") != code || f.id != "" {
			t.Errorf("%+v, want %d", f, code)
		}
		e.end()
	}

	e := n.listen("/v1/rooms/r/events", n.token("ann"))
	e.next("")
	n.want(200, "DELETE", "/v1/users/ann/connections", nil, admin)
	bye(e, chat.ByeRevoked.Code)

	e = n.listen("/v1/rooms/r/events", n.token("bob"))
	e.next("")
	n.want(204, "DELETE", "/v1/rooms/r/members/bob", nil, admin)
	n.want(201, "POST", "/v1/rooms/r/messages", `{"message":"not for bob","user":"ann"}`, admin)
	e.next("member")
	bye(e, chat.ByeForbidden.Code)

	key := n.key(identity.ScopeRead)
	e = n.listen("/v1/rooms/r/events", key)
	e.next("")
	drained := n.listen("/v1/rooms/r/events", "as dan")
	drained.next("")
	n.revokeKeys()
	for f := range e.frames { // dan's membership may come first
		if f.name == "goodbye" && f.num("code") != chat.ByeRevoked.Code {
			t.Errorf("%+v", f)
		}
	}
	n.hub.Drain(chat.ByeDraining)
	bye(drained, chat.ByeDraining.Code)
	n.want(503, "GET", "/v1/rooms/r/events", nil, "as dan")
	n.srv.Close() // returns when every handler has
	if left := n.api.streams.now(); left != 0 {
		t.Errorf("%d streams are left", left)
	}
}

// A stream goes on although the server bounds the writing of other answers.
func TestEventsOutliveWriteTimeout(t *testing.T) {
	n := newNode(t, nil)
	n.api.heartbeat = 30 * time.Millisecond
	srv := httptest.NewUnstartedServer(n.api)
	srv.Config.WriteTimeout = 50 * time.Millisecond
	srv.Start()
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", srv.URL+"/v1/rooms/r/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header("as ann")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	beats := 0
	for sc := bufio.NewScanner(resp.Body); beats < 6; {
		if !sc.Scan() {
			t.Fatalf("the stream ended after %d heartbeats: %v", beats, sc.Err())
		}
		if sc.Text() == ":" {
			beats++
		}
	}
}
