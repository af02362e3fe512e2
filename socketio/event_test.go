package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/roomtide/roomtide/socketio"
)

func TestAckOfClient(t *testing.T) {
	rec := record(t)
	w := overTCP(t, plain(), func(io *socketio.Server) {
		n := io.Of("/chat")
		n.On("later", func(s *socketio.Socket, e *socketio.Event) {
			go func() {
				rec.note(fmt.Sprint(e.Ack(1, []byte{2}, "<")))
				rec.note(fmt.Sprint(errors.Is(e.Ack(), socketio.ErrAcked)))
			}()
		})
		n.On("bad", func(s *socketio.Socket, e *socketio.Event) {
			rec.note(fmt.Sprint(e.Ack(json.RawMessage(`{`)) != nil, e.Ack(make(chan int)) != nil, e.Ack()))
		})
		n.On("none", func(s *socketio.Socket, e *socketio.Event) {
			_, wants := e.AckID()
			rec.note(fmt.Sprint(wants, errors.Is(e.Ack(), socketio.ErrAcked)))
		})
	})
	p, _ := w.join("40/chat,")
	p.send(`42/chat,7["later"]`)
	p.want(`461-/chat,7[1,{"_placeholder":true,"num":0},"<"]`, "b\x02")
	rec.want("<nil>", "true")
	p.send(`42/chat,8["bad"]`)
	p.want(`43/chat,8[]`)
	rec.want("true true <nil>")
	p.send(`42/chat,["none"]`)
	rec.want("false true")
}

func TestAckOfServer(t *testing.T) {
	var rec *recorder
	o := plain()
	o.MaxAcks = 2
	ask := func(s *socketio.Socket, name string, timeout time.Duration) error {
		return s.EmitAck(timeout, func(m socketio.Message, err error) {
			rec.note(fmt.Sprintf("%s %s %q %v", name, m.Args, m.Attachments, err))
		}, name, 1)
	}
	setup := func(io *socketio.Server) {
		rec = record(t)
		io.Of("/").OnConnect(func(s *socketio.Socket) {
			rec.note(fmt.Sprint(ask(s, "a", time.Minute), ask(s, "b", time.Second), ask(s, "c", 0)))
		})
		io.Of("/").On("more", func(s *socketio.Socket, e *socketio.Event) { rec.note(fmt.Sprint(ask(s, "d", 0))) })
	}
	inBubble(t, o, setup, func(w *world) {
		p, _ := w.join("40")
		p.want(`420["a",1]`, `421["b",1]`)
		rec.want("<nil> <nil> " + socketio.ErrAcks.Error())
		p.send(`430["x",2]`, `430["again"]`, `4399[]`)
		rec.want(`a ["x" 2] [] <nil>`)
		rec.want(`b [] [] ` + socketio.ErrTimeout.Error())
		p.send(`431["late"]`, `42["more"]`)
		p.want(`422["d",1]`)
		rec.want("<nil>")
		p.send(`461-2[{"_placeholder":true,"num":0}]`)
		p.sendBinary(9)
		rec.want(`d [{"_placeholder":true,"num":0}] ["\t"] <nil>`)
		p.send(`42["more"]`)
		p.want(`423["d",1]`)
		rec.want("<nil>")
		p.cut()
		rec.want(`d [] [] ` + socketio.ErrClosed.Error())
	})
}

func TestCall(t *testing.T) {
	sockets := make(chan *socketio.Socket, 1)
	w := overTCP(t, plain(), func(io *socketio.Server) { io.Of("/").OnConnect(func(s *socketio.Socket) { sockets <- s }) })
	p, _ := w.join("40")
	s := <-sockets
	results := make(chan string, 1)
	call := func(ctx context.Context, name string, args ...any) {
		go func() {
			m, err := s.Call(ctx, name, args...)
			results <- fmt.Sprintf("%s %v", m.Args, err)
		}()
	}
	want := func(want string) {
		t.Helper()
		if got := <-results; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	call(t.Context(), "sum", 1, 2)
	p.want(`420["sum",1,2]`)
	p.send(`430[3]`)
	want("[3] <nil>")
	ctx, cancel := context.WithCancel(t.Context())
	call(ctx, "never")
	p.want(`421["never"]`)
	cancel()
	want("[] context canceled")
	call(t.Context(), "gone")
	p.want(`422["gone"]`)
	p.cut()
	want("[] " + socketio.ErrClosed.Error())
	call(t.Context(), "gone")
	want("[] " + socketio.ErrClosed.Error())
}
