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

// modes are the ways a client connects.
var modes = []mode{
	{name: "polling", transport: "polling", options: fields{"transports": []string{"polling"}, "upgrade": false}},
	{name: "websocket", transport: "websocket", options: fields{"transports": []string{"websocket"}}},
	{name: "upgrade", transport: "websocket", options: fields{"transports": []string{"polling", "websocket"}}},
	{name: "compressed", transport: "websocket", options: fields{"transports": []string{"websocket"}, "protocols": []string{"chat", "x"}}, env: []string{"ROOMTIDE_COMPRESSION=true"}},
}

type mode struct {
	name      string
	transport string // after an upgrade
	options   fields
	env       []string // of the node
}

// with returns the options together with more.
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

// frame is the part of replies and events that tests check.
type frame struct {
	Type, Room, User, Message string
	Reason, Retry             string
	Code                      any // string in an error, number in a goodbye
	Seq, Rev                  int64
	On, More                  bool
	Messages                  []frame
	Data                      *frame // of a connect_error
}

// TestChat runs the scenario with every client over every transport.
func TestChat(t *testing.T) {
	for _, v := range versions {
		for _, m := range modes {
			t.Run(v.version+"/"+m.name, func(t *testing.T) {
				t.Parallel()
				w := newFixture(t, m.env...)
				c := &stockClient{object: newObject(t, "peer", v.name), mode: m}
				c.helloEvent = v.name == "io1" || v.name == "io2"
				c.scenario(w)
			})
		}
	}
}

// stockClient is a stock client of the user ada.
type stockClient struct {
	*object
	helloEvent bool // has no auth: says hello with an event
	mode       mode
	rev        int64 // of the newest message received
}

func (c *stockClient) request(name string, f fields) frame {
	c.t.Helper()
	return do[frame](c.object, "request", name, f)
}
func (c *stockClient) emit(name string, f fields) { c.t.Helper(); do[bool](c.object, "emit", name, f) }
func (c *stockClient) next(name string) frame     { c.t.Helper(); return do[frame](c.object, "next", name) }

func (c *stockClient) scenario(w *fixture) {
	c.t.Helper()
	do[bool](c.object, "open", w.node.URL(""), c.mode.with(fields{"auth": fields{"user": "ada"}}))
	c.connected()
	c.exchange(w)
	c.refusals()
	c.signals(w)
	c.burst(w)
	w.restart()
	c.resume(w)
	c.drain(w)
}

// connected waits for the connection and its authentication.
func (c *stockClient) connected() {
	c.t.Helper()
	do[any](c.object, "next", "connect")
	var hello frame
	if c.helloEvent {
		hello = c.request("hello", fields{"user": "ada"})
	} else {
		hello = c.next("hello")
	}
	if hello.Type != "ack" || hello.User != "ada" {
		c.t.Fatalf("hello: %+v", hello)
	}
	do[bool](c.object, "on", c.mode.transport)
	if extensions, want := do[string](c.object, "extensions"), c.mode.name == "compressed"; strings.Contains(extensions, "permessage-deflate") != want {
		c.t.Fatalf("extensions of the WebSocket: %q", extensions)
	}
}

// message expects the next message.
func (c *stockClient) message(seq int64, user, text string) {
	c.t.Helper()
	m := c.next("message")
	if m.Seq != seq || m.User != user || m.Message != text || m.Rev <= c.rev {
		c.t.Fatalf("after rev %d received %+v, want %d %s %q", c.rev, m, seq, user, text)
	}
	c.rev = m.Rev
}

// exchange is messages with a native WebSocket and a back end in the same room.
func (c *stockClient) exchange(w *fixture) {
	c.t.Helper()
	r := c.request("join", fields{"room": "room1"})
	if r.Type != "ack" || r.Room != "room1" || r.Rev != 1 || len(r.Messages) != 0 {
		c.t.Fatalf("join: %+v", r)
	}
	w.benJoins()
	if m := c.next("member"); m.User != "ben" || m.Rev != 2 {
		c.t.Fatalf("member: %+v", m)
	}
	texts := []string{"one, 日本 😀\u2028", "two", "drei: ö", "four"}
	one := fields{"room": "room1", "message": texts[0], "key": "key1"}
	for range 2 { // the same key again is the same message
		if r = c.request("message", one); r.Type != "ack" || r.Seq != 1 || r.Rev != 3 {
			c.t.Fatalf("message: %+v", r)
		}
	}
	c.message(1, "ada", texts[0])
	w.benSends(2, "two")
	c.message(2, "ben", "two")
	w.post(3, texts[2])
	c.message(3, "shop", texts[2])
	c.emit("message", fields{"room": "room1", "message": "four"})
	c.message(4, "ada", "four")
	for i, text := range texts {
		w.benSees(int64(i+1), text)
	}
}

// refusals come in the ack if there is a callback, and as an event otherwise.
func (c *stockClient) refusals() {
	c.t.Helper()
	elsewhere := fields{"room": "elsewhere", "message": "x"}
	if r := c.request("message", elsewhere); r.Type != "error" || r.Code != "not_found" {
		c.t.Fatalf("elsewhere: %+v", r)
	}
	if r := c.request("message", fields{"room": 1}); r.Code != "invalid" || !strings.Contains(r.Message, "room") {
		c.t.Fatalf("a number: %+v", r)
	}
	c.emit("message", elsewhere)
	if e := c.next("error"); e.Type != "error" || e.Code != "not_found" {
		c.t.Fatalf("elsewhere: %+v", e)
	}
	c.emit("nonsense", fields{})
	if e := c.next("error"); e.Type != "error" || e.Code != "unknown_type" {
		c.t.Fatalf("nonsense: %+v", e)
	}
}

func (c *stockClient) signals(w *fixture) {
	c.t.Helper()
	w.ben.Typing("room1", true)
	if e := c.next("typing"); e.User != "ben" || !e.On || e.Room != "room1" {
		c.t.Fatalf("typing: %+v", e)
	}
	c.emit("typing", fields{"room": "room1"})
	w.benEvent("typing", func(ev client.Event) bool { return ev.Kind == chat.EventTyping && ev.User == "ada" })
	if r := c.request("read", fields{"room": "room1", "seq": 4}); r.Type != "ack" || r.Seq != 4 {
		c.t.Fatalf("read: %+v", r)
	}
}

// burst receives more than fits one answer to a poll or one write.
func (c *stockClient) burst(w *fixture) {
	c.t.Helper()
	const n = 200
	long := strings.Repeat("x", 1000)
	for i := range n {
		w.benSends(int64(5+i), fmt.Sprint(i, long))
	}
	for i := range n {
		c.message(int64(5+i), "ben", fmt.Sprint(i, long))
	}
	if left := do[int](c.object, "count", "message"); left != 0 {
		c.t.Fatalf("%d messages too many", left)
	}
}

// resume continues after the server was killed and restarted.
func (c *stockClient) resume(w *fixture) {
	c.t.Helper()
	w.post(205, "while the client was away")
	do[any](c.object, "next", "disconnect")
	c.connected()
	r := c.request("join", fields{"room": "room1", "after": c.rev})
	if len(r.Messages) != 1 || r.Messages[0].Seq != 205 || r.Messages[0].Message != "while the client was away" || r.More {
		c.t.Fatalf("join after %d: %+v", c.rev, r)
	}
	c.rev = r.Rev
	w.post(206, "and back")
	c.message(206, "shop", "and back")
	if r := c.request("message", fields{"room": "room1", "message": "again", "key": "key1"}); r.Code != "conflict" {
		c.t.Fatalf("the key of another message: %+v", r)
	}
}

// drain stops the server with SIGTERM.
func (c *stockClient) drain(w *fixture) {
	c.t.Helper()
	if code := w.node.Terminate(patience); code != 0 {
		c.t.Errorf("exit code %d", code)
	}
	if c.mode.transport != "polling" { // the server is gone before the next poll
		if g := c.next("goodbye"); g.Reason != chat.ByeDraining.Reason || g.Retry != "now" {
			c.t.Errorf("goodbye: %+v", g)
		}
	}
	do[any](c.object, "next", "disconnect")
	do[bool](c.object, "close")
}

// fixture is a node with a back end and a user on a native WebSocket.
type fixture struct {
	t    testing.TB
	dir  string
	env  []string
	node *testprocess.Node
	key  string // of the back end
	ben  *client.Client
}

func newFixture(t testing.TB, env ...string) *fixture {
	w := &fixture{t: t, dir: t.TempDir(), env: env}
	w.node = program.Start(t, w.dir, testprocess.FreeAddr(t), env...)
	w.node.Ready()
	out, errs, err := program.Run(w.ctx(), "key", "add", "the shop", "--data-dir", w.dir)
	if err != nil {
		t.Fatalf("making a key: %v\n%s", err, errs)
	}
	w.key = strings.TrimSpace(out)
	return w
}

func (w *fixture) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.t.Cleanup(cancel)
	return ctx
}

// restart kills the node with SIGKILL and starts it again.
func (w *fixture) restart() {
	w.t.Helper()
	w.node.Kill()
	w.node = program.Start(w.t, w.dir, w.node.Addr, w.env...)
	w.node.Ready()
}

// benJoins connects ben over a native WebSocket and joins room1.
func (w *fixture) benJoins() {
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

func (w *fixture) benSends(seq int64, text string) {
	w.t.Helper()
	r, err := w.ben.Send(w.ctx(), "room1", chat.Draft{Text: text})
	if err != nil || int64(r.Seq) != seq {
		w.t.Fatalf("ben's message %d: %+v, %v", seq, r, err)
	}
}

func (w *fixture) benSees(seq int64, text string) {
	w.t.Helper()
	ev := w.benEvent("a message", func(ev client.Event) bool { return ev.Kind == chat.EventMessage })
	if int64(ev.Message.Seq) != seq || ev.Message.Text != text {
		w.t.Fatalf("ben was shown %+v, want %d %q", ev.Message, seq, text)
	}
}

func (w *fixture) benEvent(what string, is func(client.Event) bool) client.Event {
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

// post sends a message as the back end.
func (w *fixture) post(seq int64, text string) {
	w.t.Helper()
	var r frame
	if status := w.http(http.MethodPost, "/v1/rooms/room1/messages", fields{"message": text}, &r); status/100 != 2 || r.Seq != seq {
		w.t.Fatalf("posting message %d: %d %+v", seq, status, r)
	}
}

func (w *fixture) http(method, path string, body, answer any) (status int) {
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
