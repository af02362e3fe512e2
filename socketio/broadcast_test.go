package socketio_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/socketio"
)

// crowd are named sockets in rooms: "ann" in red, "bob" in red and blue, "cid" in blue, "dan" in none.
type crowd struct {
	*world
	n     *socketio.Namespace
	peers map[string]*peer
	socks map[string]*socketio.Socket
}

func newCrowd(t *testing.T, o socketio.Options) *crowd {
	joined := make(chan *socketio.Socket, 1)
	c := &crowd{peers: map[string]*peer{}, socks: map[string]*socketio.Socket{}}
	c.world = overTCP(t, o, func(io *socketio.Server) { io.Of("/").OnConnect(func(s *socketio.Socket) { joined <- s }) })
	c.n = c.io.Of("/")
	for name, rooms := range map[string][]string{"ann": {"red"}, "bob": {"red", "blue"}, "cid": {"blue"}, "dan": nil} {
		c.peers[name], _ = c.join("40")
		c.socks[name] = <-joined
		if err := c.socks[name].Join(rooms...); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// got sends all sockets a last event and returns which got how many before it.
func (c *crowd) got(event string) string {
	c.Helper()
	if err := c.n.Emit("last"); err != nil {
		c.Fatal(err)
	}
	var list []string
	for _, name := range []string{"ann", "bob", "cid", "dan"} {
		for {
			text := c.peers[name].read()
			if strings.HasPrefix(text, `42["last"`) {
				break
			}
			if !strings.HasPrefix(text, event) {
				c.Fatalf("%s got %s", name, text)
			}
			list = append(list, name)
		}
	}
	return strings.Join(list, " ")
}

func TestBroadcast(t *testing.T) {
	o := plain()
	withRecovery := plain()
	withRecovery.Recovery.Window = patience
	for name, o := range map[string]socketio.Options{"plain": o, "with recovery": withRecovery} {
		t.Run(name, func(t *testing.T) { testBroadcast(newCrowd(t, o)) })
	}
}

func testBroadcast(c *crowd) {
	n, ann, bob := c.n, c.socks["ann"], c.socks["bob"]
	for _, x := range []struct {
		to   socketio.Broadcast
		want string
	}{
		{n.All(), "ann bob cid dan"},
		{n.To("red"), "ann bob"},
		{n.To("red", "blue"), "ann bob cid"},
		{n.To("red").To("blue"), "ann bob cid"},
		{n.To("empty"), ""},
		{n.To(ann.ID()), ""}, // an id is not a room
		{n.ToID(ann.ID()), "ann"},
		{n.ToID(ann.ID(), ann.ID(), "unknown"), "ann"},
		{n.To("blue").ToID(ann.ID(), bob.ID()), "ann bob cid"},
		{n.All().Except("red"), "cid dan"},
		{n.To("red").Except("blue"), "ann"},
		{n.To("blue").Except("red", "empty"), "cid"},
		{n.To("red").ExceptID(ann.ID()), "bob"},
		{ann.To("red"), "bob"},
		{ann.To("blue"), "bob cid"},
		{ann.Broadcast(), "bob cid dan"},
		{ann.Broadcast().Except("blue"), "dan"},
		{n.All().Volatile(), "ann bob cid dan"},
		{bob.Volatile(), "bob"},
	} {
		if err := x.to.Emit("news", 1); err != nil {
			c.Fatal(err)
		}
		if got := c.got(`42["news",1`); got != x.want {
			c.Errorf("%+v: %s got it, want %s", x.to, got, x.want)
		}
		var names []string
		for name, s := range c.socks {
			if slices.Contains(x.to.Sockets(), s) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		if strings.Join(names, " ") != x.want {
			c.Errorf("%+v: meant are %s, want %s", x.to, names, x.want)
		}
	}
	bob.Leave("red", "never")
	n.To("red").Emit("news", 1)
	if got := c.got(`42["news",1`); got != "ann" {
		c.Errorf("%s got it", got)
	}
	n.To("red", "blue").Disconnect(false)
	c.peers["ann"].want("41")
	if ann.Connected() || !errors.Is(ann.Emit("x"), socketio.ErrClosed) || !errors.Is(ann.Join("red"), socketio.ErrClosed) {
		c.Error("ann is still there")
	}
	if fmt.Sprint(ann.Rooms()) != "[red]" || n.Socket(ann.ID()) != nil || n.Len() != 1 || len(n.To("red", "blue").Sockets()) != 0 {
		c.Errorf("%v, %d sockets left", ann.Rooms(), n.Len())
	}
}

// What cannot be sent is an error and reaches no socket.
func TestBadEvents(t *testing.T) {
	c := newCrowd(t, plain())
	fake := json.RawMessage(`[{"_placeholder":true,"num":0}]`)
	for name, send := range map[string]func() error{
		"reserved name":        func() error { return c.n.Emit("disconnect") },
		"not JSON":             func() error { return c.n.Emit("a", json.RawMessage(`{`)) },
		"not UTF-8":            func() error { return c.n.Emit("a", json.RawMessage("\"\xff\"")) },
		"name not UTF-8":       func() error { return c.n.Emit("\xff") },
		"empty":                func() error { return c.n.Emit("a", json.RawMessage{}) },
		"cannot be marshalled": func() error { return c.n.Emit("a", func() {}) },
		"placeholder of a client beside an attachment": func() error { return c.n.Emit("a", fake, []byte{1}) },
		"too many arguments":                           func() error { return c.n.Emit("a", make([]any, 1001)...) },
		"too many attachments": func() error {
			return c.n.Emit("a", slices.Repeat([]any{[]byte{1}}, 11)...)
		},
		"to one": func() error { return c.socks["ann"].Emit("connect") },
		"asking": func() error { return c.socks["ann"].EmitAck(0, nil, "connect") },
	} {
		if err := send(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := c.n.To("red").Emit("a", fake); err != nil { // alone it is data
		t.Error(err)
	}
	if got := c.got(`42["a",[{"_placeholder":true,"num":0}]]`); got != "ann bob" {
		t.Errorf("%s got it", got)
	}
}

// Clients of both protocols get the same text, and binary in their own form.
func TestBroadcastToBothProtocols(t *testing.T) {
	w := overTCP(t, plain(), func(io *socketio.Server) { io.Of("/") })
	old := w.connect("3")
	old.want("40")
	p, _ := w.join("40")
	w.io.Of("/").Emit("a", "é", []byte{1, 2})
	for _, p := range []*peer{p, old} {
		p.want(`451-["a","é",{"_placeholder":true,"num":0}]`, "b\x01\x02")
	}
}

// A client that does not read: volatile events are dropped, at any other one it is cut off.
func TestSlowClient(t *testing.T) {
	rec := record(t)
	o := plain()
	o.Engine = engineio.Options{MaxQueued: 300 << 10}
	joined := make(chan *socketio.Socket, 1)
	w := overTCP(t, o, func(io *socketio.Server) {
		rec.disconnects(io.Of("/"))
		io.Of("/").OnConnect(func(s *socketio.Socket) { joined <- s })
	})
	p, _ := w.join("40")
	s := <-joined
	big := strings.Repeat("x", 100<<10)
	sent := 0
	for ; w.io.Stats().Dropped == 0 && sent < 1000; sent++ {
		if err := s.Volatile().Emit("v", sent, big); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.io.Stats(); got.Dropped != 1 || got.Slow != 0 {
		t.Fatalf("%+v after %d events", got, sent)
	}
	var err error
	for i := 0; err == nil && i < 10; i++ {
		err = s.Emit("n", big)
	}
	if !errors.Is(err, socketio.ErrFull) || w.io.Stats().Slow != 1 {
		t.Fatalf("%v %+v", err, w.io.Stats())
	}
	rec.want(engineio.ReasonTransportError)
	for i := range sent - 1 { // what was not dropped arrives, in order
		if text := p.read(); !strings.HasPrefix(text, fmt.Sprintf(`42["v",%d,`, i)) {
			t.Fatalf("event %d is %.30s", i, text)
		}
	}
}

// One that is larger than what may be queued is dropped as well.
func TestLargeVolatileEvent(t *testing.T) {
	o := plain()
	o.Engine = engineio.Options{MaxQueued: 1000}
	joined := make(chan *socketio.Socket, 1)
	w := overTCP(t, o, func(io *socketio.Server) {
		io.Of("/").OnConnect(func(s *socketio.Socket) { joined <- s })
	})
	p, _ := w.join("40")
	s := <-joined
	if err := s.Volatile().Emit("v", strings.Repeat("x", 1001)); err != nil || w.io.Stats().Dropped != 1 {
		t.Errorf("%v %+v", err, w.io.Stats())
	}
	s.Emit("n")
	p.want(`42["n"]`)
}
