package engineio_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/websocket"
)

// Close delivers what is queued: to the poll that waits, to the next one, or on
// the WebSocket.
func TestClose(t *testing.T) {
	both(t, engineio.Options{}, func(t *testing.T, w *world) {
		say := func(s *engineio.Socket) {
			if err := s.Send(engineio.Message{Data: []byte("a")}, engineio.Message{Data: []byte("b")}); err != nil {
				t.Fatal(err)
			}
			s.Close("because")
			s.Close("again")
			if err := s.Send(engineio.Message{}); err != engineio.ErrClosed {
				t.Error(err)
			}
			if n, err := s.TryWrite(net.Buffers{{1}}); n != 0 || err != engineio.ErrClosed {
				t.Error(n, err)
			}
			if err := s.WaitWritable(time.Second); err != engineio.ErrClosed {
				t.Error(err)
			}
		}
		c := w.open(4)
		say(w.engine.Find(c.sid))
		w.expect("close: because")
		c.post("4late").want(t, 400, unknownSession)
		c.get().want(t, 200, "4a\x1e4b")
		c.get().want(t, 200, "1")
		c.get().want(t, 400, unknownSession)

		c = w.open(3)
		waiting := c.poll()
		s := w.engine.Find(c.sid)
		s.Close("")
		(<-waiting).want(t, 200, "1:1")
		w.expect("close: forced close")

		c.sid = ""
		ws := c.ws()
		s = w.engine.Find(ws.receiveHello().SID)
		w.expect("open")
		say(s)
		ws.receive("4a")
		ws.receive("4b")
		var closed *websocket.CloseError
		if err := ws.ended(); !errors.As(err, &closed) || closed.Code != websocket.CodeNormal {
			t.Error(err)
		}
		w.expect("close: because")
		if n := w.engine.Stats().Sockets; n != 0 {
			t.Error(n)
		}
	})
}

// A session that was closed and is not polled any more is forgotten.
func TestCloseIsForgotten(t *testing.T) {
	inBubble(t, options(), func(t *testing.T, w *world) {
		c := w.open(4)
		w.engine.Find(c.sid).Close("")
		w.expect("close: forced close")
		<-time.After(engineio.CloseLinger + pingInterval)
		if n := w.engine.Stats().Sockets; n != 0 {
			t.Error(n)
		}
		c.get().want(t, 400, unknownSession)
		c = w.open(4)
		c.post("1").want(t, 200, "ok")
		<-time.After(engineio.NoopLinger)
		c.get().want(t, 400, unknownSession)
	})
}

// A handler may close its own socket.
func TestCloseInHandler(t *testing.T) {
	both(t, engineio.Options{}, func(t *testing.T, w *world) {
		w.rec.onMessage = func(s *engineio.Socket, m engineio.Message) {
			s.Send(m)
			s.Close("enough")
			w.rec.events <- "handled"
		}
		c := w.open(4)
		c.post("4a\x1e4b").want(t, 200, "ok")
		w.expect("handled", "close: enough")
		c.get().want(t, 200, "4a") // clients of protocol 4 would take note of a close in it first
		c.get().want(t, 200, "1")
		c.sid = ""
		ws := c.ws()
		ws.receiveHello()
		ws.send("4a")
		ws.receive("4a")
		ws.ended()
		w.expect("open", "handled", "close: enough")
		w.quiet()
	})
}

// A client that does not read its goodbye does not keep the server.
func TestCloseMeetsStalledClient(t *testing.T) {
	inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
		ws := (&client{world: w, version: 4}).ws()
		s := w.engine.Find(ws.receiveHello().SID)
		if err := s.Send(engineio.Message{Data: make([]byte, 500_000), Binary: true}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !s.Stalled() {
			t.Fatal("not stalled")
		}
		begin := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := w.engine.Close(ctx); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begin); d > 2*engineio.Linger {
			t.Errorf("took %v", d)
		}
		w.expect("open", "close: server shutting down")
	})
}

func TestServerClose(t *testing.T) {
	both(t, engineio.Options{}, func(t *testing.T, w *world) {
		c4, c3 := w.open(4), w.open(3)
		idle := w.open(4)
		p4, p3 := c4.poll(), c3.poll()
		fresh := &client{world: w, version: 4}
		ws := fresh.ws()
		ws.receiveHello()
		probing := idle.ws()
		probing.send("2probe")
		probing.receive("3probe")
		w.expect("open")
		closed := make(chan error)
		go func() { closed <- w.engine.Close(context.Background()) }()
		(<-p4).want(t, 200, "1")
		(<-p3).want(t, 200, "1:1")
		ws.ended()
		probing.ended()
		if err := <-closed; err != nil {
			t.Fatal(err)
		}
		for range 4 {
			w.expect("close: server shutting down")
		}
		w.quiet()
		idle.get().want(t, 400, unknownSession)
		fresh.get().want(t, 503, `{"code":4,"message":"Server is shutting down"}`)
	})
}

// Server.Close does not wait for a handler longer than it is asked to.
func TestServerCloseMeetsSlowHandler(t *testing.T) {
	inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
		proceed := make(chan bool)
		w.rec.onMessage = func(*engineio.Socket, engineio.Message) { <-proceed }
		ws := (&client{world: w, version: 4}).ws()
		ws.receiveHello()
		ws.send("4x")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := w.engine.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		w.expect("open")
		w.quiet() // Close is not called while another call of the handler runs
		close(proceed)
		w.expect("close: server shutting down")
		ws.Close()
	})
}
