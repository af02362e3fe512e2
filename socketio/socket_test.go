package socketio_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/socketio"
)

// Each of these closes the connection.
func TestOutOfOrder(t *testing.T) {
	w := overTCP(t, plain(), echo)
	for name, c := range map[string]struct {
		joined bool
		send   []string
	}{
		"EVENT before CONNECT":             {false, []string{`42["message"]`}},
		"ACK before CONNECT":               {false, []string{`431[]`}},
		"DISCONNECT before CONNECT":        {false, []string{`41`}},
		"second CONNECT":                   {true, []string{"40"}},
		"CONNECT_ERROR":                    {true, []string{`44{"message":"no"}`}},
		"EVENT in a namespace not joined":  {true, []string{`42/custom,["message"]`}},
		"EVENT in an unknown namespace":    {true, []string{`42/random,["message"]`}},
		"EVENT after DISCONNECT":           {true, []string{"41", `42["message"]`}},
		"text between attachments":         {true, []string{`451-["message",{"_placeholder":true,"num":0}]`, `42["message"]`}},
		"reserved name":                    {true, []string{`42["disconnect"]`}},
		"too many attachments (announced)": {true, []string{`45999999999-["message"]`}},
	} {
		t.Run(name, func(t *testing.T) {
			p := w.connect("4")
			if c.joined {
				p.send("40")
				p.welcomed("40")
				p.want(`42["auth",{}]`)
			}
			p.send(c.send...)
			p.wantClosed()
		})
	}
	t.Run("an attachment alone", func(t *testing.T) {
		p := w.echoing()
		p.sendBinary(1)
		p.wantClosed()
	})
}

func TestIncompletePacket(t *testing.T) {
	inBubble(t, plain(), echo, func(w *world) {
		p := w.echoing()
		p.send(`452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)
		p.sendBinary(1)
		begin := time.Now()
		p.wantClosed()
		if d := time.Since(begin); d != 10*time.Second {
			t.Errorf("closed after %v", d)
		}
		p = w.echoing() // and complete ones are left alone
		p.send(`451-["message",{"_placeholder":true,"num":0}]`)
		p.sendBinary(1)
		p.want(`451-["message-back",{"_placeholder":true,"num":0}]`, "b\x01")
		time.Sleep(11 * time.Second) // the clock of the bubble
		p.send(`42["message"]`)
		p.want(`42["message-back"]`)
		p.cut()
	})
	o := plain()
	o.MaxAttached = 3
	p := overTCP(t, o, echo).echoing()
	p.send(`452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)
	p.sendBinary(1, 2)
	p.sendBinary(3, 4)
	p.wantClosed()
}

func TestMiddleware(t *testing.T) {
	rec := record(t)
	w := overTCP(t, plain(), func(io *socketio.Server) {
		n := io.Of("/")
		n.Use(func(s *socketio.Socket) error {
			if err := s.Emit("early"); !errors.Is(err, socketio.ErrClosed) {
				t.Errorf("emit inside a middleware: %v", err)
			}
			s.Disconnect(true) // means nothing yet
			s.Join("all")
			s.SetData(s.Request().Header.Get("Upgrade"))
			return nil
		})
		n.Use(func(s *socketio.Socket) error {
			var auth struct{ Token string }
			json.Unmarshal(s.Auth(), &auth)
			switch auth.Token {
			case "plain":
				return errors.New("go <away>")
			case "data":
				return &socketio.ConnectError{Message: "no", Data: map[string]int{"code": 7}}
			case "wrapped":
				return fmt.Errorf("ctx: %w", &socketio.ConnectError{Message: "no"})
			case "panic":
				panic(auth.Token)
			}
			if s.ForgetAuth(); s.Auth() != nil {
				t.Error("what was forgotten is still there")
			}
			return nil
		})
		n.OnConnect(func(s *socketio.Socket) { rec.note(fmt.Sprintf("%s %v", s.Rooms(), s.Data())) })
	})
	p := w.connect("4")
	for _, c := range []struct{ token, answer string }{
		{"plain", `44{"message":"go <away>"}`},
		{"data", `44{"message":"no","data":{"code":7}}`},
		{"wrapped", `44{"message":"no"}`},
		{"panic", `44{"message":"Internal error"}`},
	} {
		p.send(`40{"token":"` + c.token + `"}`)
		p.want(c.answer)
	}
	if n := w.io.Of("/").Len() + len(w.io.Of("/").To("all").Sockets()); n != 0 {
		t.Errorf("%d refused sockets were let in", n)
	}
	p.send("40")
	p.welcomed("40")
	rec.want("[all] websocket")
}

func TestDisconnectReasons(t *testing.T) {
	rec := record(t)
	o := plain()
	w := overTCP(t, o, func(io *socketio.Server) {
		for _, name := range []string{"/", "/other"} {
			n := io.Of(name)
			rec.disconnects(n)
			n.On("kick", func(s *socketio.Socket, e *socketio.Event) { s.Disconnect(false) })
			n.On("kick all", func(s *socketio.Socket, e *socketio.Event) { s.Disconnect(true) })
			n.On("panic", func(s *socketio.Socket, e *socketio.Event) { panic("secret") })
		}
		io.Of("/").On("echo", func(s *socketio.Socket, e *socketio.Event) { s.Emit("echo") })
	})
	both := func() *peer {
		p, _ := w.join("40")
		p.send("40/other,")
		p.welcomed("40/other,")
		return p
	}
	p := both()
	p.send("41/other,")
	rec.want("client namespace disconnect")
	p.send(`42["kick"]`)
	p.want("41")
	rec.want("server namespace disconnect")
	p.send(`42["late"]`) // sent before it knew: no offence
	p.send("40")
	p.welcomed("40")
	p.send(`42["kick all"]`)
	p.want("41")
	p.wantClosed()
	rec.want("server namespace disconnect")

	p = both()
	p.send(`42/other,["kick all"]`)
	p.want("41", "41/other,")
	p.wantClosed()
	rec.want("server namespace disconnect", "server namespace disconnect")

	p = both()
	p.send(`42/other,["panic"]`)
	p.want("41/other,")
	rec.want("server namespace disconnect")
	p.send(`42["echo"]`) // the other socket lives
	p.want(`42["echo"]`)
	p.cut()
	rec.want("transport close")

	p = both()
	p.send("4x")
	p.wantClosed()
	rec.want("parse error", "parse error")

	p = both()
	p.send("40")
	p.wantClosed()
	rec.want("forced server close", "forced server close")

	p = both()
	closed := make(chan error)
	go func() { closed <- w.io.Close(t.Context()) }()
	p.wantClosed()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	rec.want("server shutting down", "server shutting down")
	if n := w.io.Of("/").Len(); n != 0 || w.io.Stats().Panics != 1 {
		t.Errorf("%d sockets left, %+v", n, w.io.Stats())
	}
}

func TestPingTimeout(t *testing.T) {
	var rec *recorder
	inBubble(t, fast(), func(io *socketio.Server) {
		rec = record(t)
		rec.disconnects(io.Of("/"))
	}, func(w *world) {
		p, _ := w.join("40")
		for {
			if _, _, err := p.ws.ReadMessage(1000); err != nil {
				break
			}
		}
		p.cut()
		rec.want("ping timeout")
	})
}

// Handlers of one connection never run at the same time, from whatever goroutine they are called.
func TestHandlersTakeTurns(t *testing.T) {
	var running, worst atomic.Int32
	turn := func() {
		worst.Store(max(worst.Load(), running.Add(1)))
		for range 100 {
			_ = fmt.Sprint(running.Load())
		}
		running.Add(-1)
	}
	rec := record(t)
	w := overTCP(t, plain(), func(io *socketio.Server) {
		for _, name := range []string{"/", "/other"} {
			n := io.Of(name)
			n.OnConnect(func(s *socketio.Socket) { turn() })
			n.OnDisconnect(func(*socketio.Socket, string) { turn(); rec.note("out") })
			n.On("go", func(s *socketio.Socket, e *socketio.Event) {
				turn()
				for range 10 {
					s.EmitAck(time.Millisecond, func(socketio.Message, error) { turn(); rec.note("ack") }, "q")
				}
			})
			n.On("kick", func(s *socketio.Socket, e *socketio.Event) {
				done := make(chan bool)
				go func() { s.Disconnect(true); close(done) }()
				<-done // must not wait for this handler
				turn()
			})
		}
	})
	p, _ := w.join("40")
	p.send("40/other,")
	p.welcomed("40/other,")
	p.send(`42["go"]`, `42/other,["go"]`, `42["go"]`)
	for range 30 {
		p.read()
		rec.want("ack")
	}
	p.send(`42["kick"]`)
	rec.want("out", "out")
	if worst.Load() != 1 {
		t.Errorf("%d handlers at once", worst.Load())
	}
}

// What the server sends can go through a Writer of the program.
func TestWriter(t *testing.T) {
	rec := record(t)
	o := plain()
	o.Writer = func(e *engineio.Socket) socketio.Writer { rec.note("open"); return &frames{e, rec} }
	o.Closed = func(w socketio.Writer, reason string) { w.(*frames).rec.note("closed " + reason) }
	w := overTCP(t, o, func(io *socketio.Server) {
		echo(io)
		rec.disconnects(io.Of("/"))
		io.Of("/").On("raw", func(s *socketio.Socket, e *socketio.Event) {
			id, _ := e.AckID()
			s.Engine().TryWrite([][]byte{socketio.AppendEvent(nil, "/", "raw", e.Args[0]), socketio.AppendAck(nil, "/", id)})
		})
		io.Of("/").On("bye", func(s *socketio.Socket, e *socketio.Event) { s.Disconnect(true) })
	})
	p := w.echoing()
	rec.want("open", "1", "1") // CONNECT, auth
	p.send("40/none", `425["message-with-ack",1]`)
	p.want(`44/none,{"message":"Invalid namespace"}`, `435[1]`)
	rec.want("1", "1")
	p.send(`427["raw",{"x":1}]`)
	p.want(`42["raw",{"x":1}]`, `437[]`)
	p.send(`42["bye"]`)
	p.want("41")
	p.wantClosed()
	rec.want("1", "close", "server namespace disconnect", "closed forced server close")
	q := w.poll() // and over polling, and for a client that never joins
	rec.want("open")
	w.do("POST", q, "1")
	rec.want("closed transport close")
}

// frames is a writer that makes frames of messages.
type frames struct {
	e   *engineio.Socket
	rec *recorder
}

func (f *frames) Send(ms ...engineio.Message) error {
	f.rec.note(fmt.Sprint(len(ms)))
	var b []byte
	for _, m := range ms {
		b = engineio.AppendFrame(b, m.Data)
	}
	_, err := f.e.TryWrite([][]byte{b})
	return err
}

func (f *frames) Close(reason string) {
	f.rec.note("close")
	f.e.Close(reason)
}

func TestNamespaceNames(t *testing.T) {
	io := socketio.New(plain())
	defer io.Close(t.Context())
	if n := io.Of("/a"); n != io.Of("/a") || n.Name() != "/a" {
		t.Error("a namespace is made once")
	}
	for _, name := range []string{"", "a", "/a,b", "/a?b", "/a\n", "/\xff", "/" + strings.Repeat("x", 256)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q is a namespace", name)
				}
			}()
			io.Of(name)
		}()
	}
}
