package socketio_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/roomtide/roomtide/socketio"
)

func TestHandshake(t *testing.T) {
	got := make(chan socketio.Handshake, 1)
	w := overTCP(t, plain(), func(io *socketio.Server) {
		io.Of("/").OnConnect(func(s *socketio.Socket) { got <- s.Handshake() })
	})
	before := time.Now()
	w.join(`40{"a":1}`)
	h := <-got
	if h.Time.Before(before) || h.Address != "127.0.0.1" || h.Secure || h.Foreign || h.Query.Get("transport") != "websocket" ||
		h.URL == "" || h.Headers.Get("Upgrade") == "" || string(h.Auth) != `{"a":1}` {
		t.Errorf("%+v", h)
	}
}

func TestMiddlewareForEvents(t *testing.T) {
	rec := record(t)
	w := overTCP(t, plain(), func(io *socketio.Server) {
		n := io.Of("/")
		n.UseEvent(func(_ *socketio.Socket, e *socketio.Event) error {
			if e.Name == "secret" {
				e.Ack("no")
				return errors.New("not allowed")
			}
			return nil
		})
		n.UseEvent(func(*socketio.Socket, *socketio.Event) error { rec.note("passed"); return nil })
		n.OnRefused(func(_ *socketio.Socket, e *socketio.Event, err error) { rec.note(e.Name + ": " + err.Error()) })
		n.OnAny(func(_ *socketio.Socket, e *socketio.Event) { rec.note("any " + e.Name) })
	})
	p, _ := w.join("40")
	p.send(`421["secret"]`, `42["open"]`)
	p.want(`431["no"]`)
	rec.want("secret: not allowed", "passed", "any open")
}

func TestHandlersOfOneSocket(t *testing.T) {
	rec := record(t)
	w := overTCP(t, plain(), func(io *socketio.Server) {
		io.Of("/").OnConnect(func(s *socketio.Socket) {
			note := func(text string) func(*socketio.Event) {
				return func(e *socketio.Event) { rec.note(text + " " + string(e.Args[0])) }
			}
			s.On("a", note("on"))
			s.Once("a", note("once"))
			s.On("a", note("taken away"))()
			s.On("b", note("off"))
			s.On("off", func(*socketio.Event) { s.Off("b") })
		})
		io.Of("/").On("a", func(_ *socketio.Socket, e *socketio.Event) { rec.note("namespace") })
	})
	p, _ := w.join("40")
	other, _ := w.join("40")
	p.send(`42["a",1]`, `42["a",2]`, `42["b",3]`, `42["off"]`, `42["b",4]`, `42["a",5]`)
	rec.want("namespace", "on 1", "once 1", "namespace", "on 2", "off 3", "namespace", "on 5")
	other.send(`42["a",6]`)
	rec.want("namespace", "on 6", "once 6")
}

func TestRoomEvents(t *testing.T) {
	rec := record(t)
	w := overTCP(t, plain(), func(io *socketio.Server) {
		n := io.Of("/")
		n.OnRoom(func(e socketio.RoomEvent) { rec.note(fmt.Sprint(e.Change, " ", e.Room, " ", e.Socket != nil)) })
		n.Use(func(s *socketio.Socket) error { return s.Join("a") })
	})
	p, _ := w.join("40")
	const created, joined, left, deleted = "0 %s false", "1 %s true", "2 %s true", "3 %s false"
	want := func(room string, changes ...string) {
		t.Helper()
		for _, c := range changes {
			rec.want(fmt.Sprintf(c, room))
		}
	}
	want("a", created, joined)
	q, _ := w.join("40")
	want("a", joined)
	n := w.io.Of("/")
	n.To("a").Join("b")
	want("b", created, joined, joined)
	n.To("a").Join("b") // nothing changes
	if rooms := n.Rooms(); len(rooms) != 2 || !slices.Contains(rooms, "a") || !slices.Contains(rooms, "b") {
		t.Error(rooms)
	}
	n.All().Leave("b", "c")
	want("b", left, left, deleted)
	p.cut()
	want("a", left)
	q.cut()
	want("a", left, deleted)
}

func TestAnyOutgoing(t *testing.T) {
	rec := record(t)
	w := overTCP(t, plain(), func(io *socketio.Server) {
		n := io.Of("/")
		n.OnAnyOutgoing(func(s *socketio.Socket, m *socketio.Message) { rec.note(fmt.Sprintf("%s %s", m.Name, m.Args)) })
		n.On("go", func(s *socketio.Socket, _ *socketio.Event) {
			s.Emit("one", 1)
			n.Emit("all", 2)
			s.EmitAck(0, func(socketio.Message, error) {}, "ask", 3)
		})
	})
	p, _ := w.join("40")
	w.join("40")
	p.send(`42["go"]`)
	rec.want("one [1]", "all [2]", "all [2]", "ask [3]")
}

func TestAcksOfBroadcast(t *testing.T) {
	inBubble(t, plain(), func(*socketio.Server) {}, func(w *world) {
		rec := record(t) // of the bubble
		n := w.io.Of("/")
		ask := func() error {
			return n.All().EmitAck(time.Second, func(answers []socketio.Answer, err error) {
				list := []string{}
				for _, a := range answers {
					list = append(list, fmt.Sprintf("%s %v", a.Args, n.Socket(a.Socket.ID()) == a.Socket))
				}
				rec.note(fmt.Sprint(list, err))
			}, "sum", 1)
		}
		if ask() != nil { // of no socket
			t.Error("an error")
		}
		rec.want("[] <nil>")
		p, _ := w.join("40")
		q, _ := w.join("40")
		if ask() != nil {
			t.Error("an error")
		}
		p.want(`420["sum",1]`)
		q.want(`420["sum",1]`)
		p.send(`430["p"]`)
		q.send(`430["p"]`)
		rec.want(`[["p"] true ["p"] true] <nil>`)
		ask()
		p.want(`421["sum",1]`)
		p.send(`431["late comes q"]`)
		rec.want(`[["late comes q"] true] ` + socketio.ErrTimeout.Error())
		if n.All().EmitAck(0, nil, "connect") == nil {
			t.Error("a reserved name")
		}
	})
}

// Attachments stand anywhere in arguments, in both directions.
func TestAttachmentsInside(t *testing.T) {
	type file struct {
		Name string          `json:"name"`
		Data socketio.Binary `json:"data"`
	}
	rec := record(t)
	w := overTCP(t, plain(), func(io *socketio.Server) {
		io.Of("/").On("files", func(s *socketio.Socket, e *socketio.Event) {
			var list []file
			var plain []struct{ Data []byte }
			err := errors.Join(e.Decode(0, &list), e.Decode(0, &plain), e.Decode(1, new(int64)))
			rec.note(fmt.Sprintf("%s %s %v %v", list, plain, err, e.Decode(2, nil) != nil))
			s.Emit("files", map[string]any{"list": list, "n": 1}, []byte{3}, []socketio.Binary{{4}, {}})
		})
	})
	p, _ := w.join("40")
	p.send(`452-["files",[{"name":"a","data":{"_placeholder":true,"num":1}},{"data":{"num":0,"_placeholder":true}}],9007199254740993]`)
	p.sendBinary('x')
	p.sendBinary('y')
	rec.want("[{a y} { x}] [{y} {x}] <nil> true")
	p.want(`455-["files",{"list":[{"name":"a","data":{"_placeholder":true,"num":0}},{"name":"","data":{"_placeholder":true,"num":1}}],"n":1},`+
		`{"_placeholder":true,"num":2},[{"_placeholder":true,"num":3},{"_placeholder":true,"num":4}]]`, "by", "bx", "b\x03", "b\x04", "b")
}

// A Binary is base64 in any other JSON.
func TestBinaryElsewhere(t *testing.T) {
	b, err := json.Marshal(socketio.Binary("hello"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range [][]byte{b, []byte(`"aGVsbG8="`)} {
		var back socketio.Binary
		if err := json.Unmarshal(text, &back); err != nil || !bytes.Equal(back, []byte("hello")) {
			t.Errorf("%q %v", back, err)
		}
	}
	if err := json.Unmarshal([]byte(`{}`), new(socketio.Binary)); err == nil {
		t.Error("an object became binary")
	}
}
