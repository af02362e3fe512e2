package socketio

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// patience bounds every single wait. It is long because machines can be slow.
const patience = 20 * time.Second

// modes are the ways a client gets to the server.
var modes = []mode{
	{name: "polling", ends: "polling", options: fields{"transports": []string{"polling"}, "upgrade": false}},
	{name: "websocket", ends: "websocket", options: fields{"transports": []string{"websocket"}}},
	{name: "upgrade", ends: "websocket", options: fields{"transports": []string{"polling", "websocket"}}},
	{name: "compressed", ends: "websocket", options: fields{"transports": []string{"websocket"}}, env: []string{"ROOMTIDE_COMPRESSION=true"}},
}

type mode struct {
	name    string
	ends    string // the transport that is used in the end
	options fields
	env     []string // of the node
}

// with returns the options and more.
func (m mode) with(more fields) fields {
	all := fields{}
	for _, f := range []fields{m.options, more} {
		for k, v := range f {
			all[k] = v
		}
	}
	return all
}

type fields map[string]any

// frame is what a test looks at of replies and events.
type frame struct {
	Type, Room, User, Message string
	Reason, Retry             string
	Code                      any // a word of an error, a number of a goodbye
	Seq, Rev                  int64
	On, More                  bool
	Messages                  []frame
	Data                      *frame // of a connect_error
}

// TestChat is the story of a room, once for each client and each transport.
func TestChat(t *testing.T) {
	for _, v := range versions {
		for _, m := range modes {
			t.Run(v.version+"/"+m.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, m.env...)
				a := &ada{object: newObject(t, "peer", v.name), mode: m}
				a.says = v.name == "io1" || v.name == "io2"
				a.story(w)
			})
		}
	}
}

// ada uses a stock client.
type ada struct {
	*object
	says bool // says hello with an event
	mode mode
	rev  int64 // of what was shown last
}

func (a *ada) ask(name string, f fields) frame {
	a.t.Helper()
	return do[frame](a.object, "ask", name, f)
}
func (a *ada) tell(name string, f fields) { a.t.Helper(); do[bool](a.object, "tell", name, f) }
func (a *ada) next(name string) frame     { a.t.Helper(); return do[frame](a.object, "next", name) }

func (a *ada) story(w *world) {
	a.t.Helper()
	do[bool](a.object, "open", w.node.URL(""), a.mode.with(fields{"auth": fields{"user": "ada"}}))
	a.arrive()
	a.talk(w)
	a.mistakes()
	a.signals(w)
	a.burst(w)
	w.restart()
	a.resume(w)
	a.part(w)
}

// arrive waits for the connection and says who she is.
func (a *ada) arrive() {
	a.t.Helper()
	do[any](a.object, "next", "connect")
	var hello frame
	if a.says {
		hello = a.ask("hello", fields{"user": "ada"})
	} else {
		hello = a.next("hello")
	}
	if hello.Type != "ack" || hello.User != "ada" {
		a.t.Fatalf("hello: %+v", hello)
	}
	do[bool](a.object, "on", a.mode.ends)
	if extensions, want := do[string](a.object, "extensions"), a.mode.name == "compressed"; strings.Contains(extensions, "permessage-deflate") != want {
		a.t.Fatalf("extensions of the WebSocket: %q", extensions)
	}
}

// message expects the next message.
func (a *ada) message(seq int64, user, text string) {
	a.t.Helper()
	m := a.next("message")
	if m.Seq != seq || m.User != user || m.Message != text || m.Rev <= a.rev {
		a.t.Fatalf("after rev %d was shown %+v, want %d %s %q", a.rev, m, seq, user, text)
	}
	a.rev = m.Rev
}

// talk is a room with a native WebSocket and a back end in it.
func (a *ada) talk(w *world) {
	a.t.Helper()
	r := a.ask("join", fields{"room": "room1"})
	if r.Type != "ack" || r.Room != "room1" || r.Rev != 1 || len(r.Messages) != 0 {
		a.t.Fatalf("join: %+v", r)
	}
	w.benJoins()
	if m := a.next("member"); m.User != "ben" || m.Rev != 2 {
		a.t.Fatalf("member: %+v", m)
	}
	texts := []string{"one, 日本 😀\u2028", "two", "drei: ö", "four"}
	one := fields{"room": "room1", "message": texts[0], "key": "key1"}
	for range 2 { // the same key again is the same message
		if r = a.ask("message", one); r.Type != "ack" || r.Seq != 1 || r.Rev != 3 {
			a.t.Fatalf("message: %+v", r)
		}
	}
	a.message(1, "ada", texts[0])
	w.benSends(2, "two")
	a.message(2, "ben", "two")
	w.post(3, texts[2])
	a.message(3, "shop", texts[2])
	a.tell("message", fields{"room": "room1", "message": "four"})
	a.message(4, "ada", "four")
	for i, text := range texts {
		w.benSees(int64(i+1), text)
	}
}

// mistakes are answered in the ack where one is asked for and as event otherwise.
func (a *ada) mistakes() {
	a.t.Helper()
	elsewhere := fields{"room": "elsewhere", "message": "x"}
	if r := a.ask("message", elsewhere); r.Type != "error" || r.Code != "not_found" {
		a.t.Fatalf("elsewhere: %+v", r)
	}
	if r := a.ask("message", fields{"room": 1}); r.Code != "invalid" || !strings.Contains(r.Message, "room") {
		a.t.Fatalf("a number: %+v", r)
	}
	a.tell("message", elsewhere)
	if e := a.next("error"); e.Type != "error" || e.Code != "not_found" {
		a.t.Fatalf("elsewhere: %+v", e)
	}
	a.tell("nonsense", fields{})
	if e := a.next("error"); e.Type != "error" || e.Code != "unknown_type" {
		a.t.Fatalf("nonsense: %+v", e)
	}
}

func (a *ada) signals(w *world) {
	a.t.Helper()
	w.ben.Typing("room1", true)
	if e := a.next("typing"); e.User != "ben" || !e.On || e.Room != "room1" {
		a.t.Fatalf("typing: %+v", e)
	}
	a.tell("typing", fields{"room": "room1"})
	w.benEvent("typing", func(ev client.Event) bool { return ev.Kind == chat.EventTyping && ev.User == "ada" })
	if r := a.ask("read", fields{"room": "room1", "seq": 4}); r.Type != "ack" || r.Seq != 4 {
		a.t.Fatalf("read: %+v", r)
	}
}

// burst is more than fits into one answer to a poll or one write.
func (a *ada) burst(w *world) {
	a.t.Helper()
	const n = 200
	long := strings.Repeat("x", 1000)
	for i := range n {
		w.benSends(int64(5+i), fmt.Sprint(i, long))
	}
	for i := range n {
		a.message(int64(5+i), "ben", fmt.Sprint(i, long))
	}
	if left := do[int](a.object, "count", "message"); left != 0 {
		a.t.Fatalf("%d messages too many", left)
	}
}

// resume is after the server was killed and started again.
func (a *ada) resume(w *world) {
	a.t.Helper()
	w.post(205, "while you were away")
	do[any](a.object, "next", "disconnect")
	a.arrive()
	r := a.ask("join", fields{"room": "room1", "after": a.rev})
	if len(r.Messages) != 1 || r.Messages[0].Seq != 205 || r.Messages[0].Message != "while you were away" || r.More {
		a.t.Fatalf("join after %d: %+v", a.rev, r)
	}
	a.rev = r.Rev
	w.post(206, "and back")
	a.message(206, "shop", "and back")
	if r := a.ask("message", fields{"room": "room1", "message": "again", "key": "key1"}); r.Code != "conflict" {
		a.t.Fatalf("the key of another message: %+v", r)
	}
}

// part is the end of the server as it should be.
func (a *ada) part(w *world) {
	a.t.Helper()
	if code := w.node.Terminate(patience); code != 0 {
		a.t.Errorf("exit code %d", code)
	}
	if a.mode.ends != "polling" { // who is between two polls finds nobody to ask
		if g := a.next("goodbye"); g.Reason != chat.ByeDraining.Reason || g.Retry != "now" {
			a.t.Errorf("goodbye: %+v", g)
		}
	}
	do[any](a.object, "next", "disconnect")
	do[bool](a.object, "close")
}

// world is a node, and others in the room.
type world struct {
	t    testing.TB
	dir  string
	env  []string
	node *testprocess.Node
	key  string // of the back end
	ben  *client.Client
}

func newWorld(t testing.TB, env ...string) *world {
	w := &world{t: t, dir: t.TempDir(), env: env}
	w.node = program.Start(t, w.dir, testprocess.FreeAddr(t), env...)
	w.node.Ready()
	out, errs, err := program.Run(w.ctx(), "key", "add", "the shop", "--data-dir", w.dir)
	if err != nil {
		t.Fatalf("making a key: %v\n%s", err, errs)
	}
	w.key = strings.TrimSpace(out)
	return w
}

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.t.Cleanup(cancel)
	return ctx
}

// restart kills the node as a power cut would and starts it again.
func (w *world) restart() {
	w.t.Helper()
	w.node.Kill()
	w.node = program.Start(w.t, w.dir, w.node.Addr, w.env...)
	w.node.Ready()
}

// benJoins has ben come with a native WebSocket.
func (w *world) benJoins() {
	w.t.Helper()
	ben, err := client.Dial(w.ctx(), client.Options{URL: w.node.URL(""), User: "ben", MinWait: 5 * time.Millisecond, MaxWait: 50 * time.Millisecond})
	if err != nil {
		w.t.Fatal(err)
	}
	w.ben = ben
	w.t.Cleanup(ben.Close)
	if _, err := ben.Join(w.ctx(), "room1", client.JoinOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) benSends(seq int64, text string) {
	w.t.Helper()
	r, err := w.ben.Send(w.ctx(), "room1", chat.Draft{Text: text})
	if err != nil || int64(r.Seq) != seq {
		w.t.Fatalf("ben's message %d: %+v, %v", seq, r, err)
	}
}

func (w *world) benSees(seq int64, text string) {
	w.t.Helper()
	ev := w.benEvent("a message", func(ev client.Event) bool { return ev.Kind == chat.EventMessage })
	if int64(ev.Message.Seq) != seq || ev.Message.Text != text {
		w.t.Fatalf("ben was shown %+v, want %d %q", ev.Message, seq, text)
	}
}

func (w *world) benEvent(what string, is func(client.Event) bool) client.Event {
	w.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case ev, ok := <-w.ben.Events():
			if !ok {
				w.t.Fatalf("ben's events ended: %v", w.ben.Err())
			}
			if is(ev) {
				return ev
			}
		case <-timeout:
			w.t.Fatalf("ben was not shown %s", what)
		}
	}
}

// post has the back end write a message.
func (w *world) post(seq int64, text string) {
	w.t.Helper()
	var r frame
	if status := w.http(http.MethodPost, "/v1/rooms/room1/messages", fields{"message": text}, &r); status/100 != 2 || r.Seq != seq {
		w.t.Fatalf("posting message %d: %d %+v", seq, status, r)
	}
}

func (w *world) http(method, path string, body, answer any) (status int) {
	w.t.Helper()
	var b bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&b).Encode(body); err != nil {
			w.t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(w.ctx(), method, w.node.URL(path), &b)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.key)
	req.Header.Set("Roomtide-User", "shop")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer != nil {
		if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
			w.t.Fatal(err)
		}
	}
	return resp.StatusCode
}
