package engineio_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/websocket"
)

// A session that nobody uses ends by itself: handshaken and never polled, or
// polled no more.
func TestAbandonedSessions(t *testing.T) {
	for _, version := range []int{4, 3} {
		inBubble(t, options(), func(t *testing.T, w *world) {
			begin := time.Now()
			w.open(version)
			w.expect("close: ping timeout")
			if d := time.Since(begin); d < pingInterval+pingTimeout || d > pingInterval+pingTimeout+2*w.engine.Tick() {
				t.Errorf("v%d: never polled, ended after %v", version, d)
			}
			c := w.open(version)
			c.post(c.join("4x")).want(t, 200, "ok")
			c.get().want(t, 200, c.join("4x"))
			w.expect("close: ping timeout")
			if s := w.engine.Stats(); s.Sockets != 0 || s.Expired != 2 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A poll that waits is answered when its session expires.
func TestPollMeetsTimeout(t *testing.T) {
	for _, version := range []int{4, 3} {
		inBubble(t, options(), func(t *testing.T, w *world) {
			c := w.open(version)
			if version == 4 {
				c.get().want(t, 200, "2")
			}
			c.get().want(t, 200, c.join("1"))
			w.expect("close: ping timeout")
		})
	}
}

// Protocol 4: any packet buys a client that owes a pong some more time, once.
func TestPongMayBeLate(t *testing.T) {
	inBubble(t, options(), func(t *testing.T, w *world) {
		ws := (&client{world: w, version: 4}).ws()
		ws.receiveHello()
		for range 3 {
			ws.receive("2")
			for range 2 {
				<-time.After(pingTimeout - 20*time.Millisecond)
				ws.send("4large")
				ws.receive("4large")
			}
			<-time.After(10 * time.Millisecond)
			ws.send("3")
		}
		ws.receive("2")
		for range 2 {
			<-time.After(pingTimeout - 20*time.Millisecond)
			ws.send("6")
		}
		ws.ended() // twice is too much
		w.expect("open", "close: ping timeout")
	})
}

// Heartbeats go on over all transports for as long as the client answers.
func TestLongLives(t *testing.T) {
	for _, version := range []int{4, 3} {
		inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
			c := w.open(version)
			var got int
			end := time.Now().Add(10 * time.Minute)
			for time.Now().Before(end) {
				if version == 4 {
					c.get().want(t, 200, "2")
					c.post("3").want(t, 200, "ok")
				} else {
					<-time.After(25 * time.Second)
					c.post("1:2").want(t, 200, "ok")
					c.get().want(t, 200, "1:3")
				}
				got++
			}
			if got < 23 || got > 25 {
				t.Errorf("%d heartbeats in 10 minutes", got)
			}
			w.quiet()
		})
	}
}

// Many sockets with different deadlines on one wheel: each ends in time.
func TestWheelKeepsDeadlines(t *testing.T) {
	inBubble(t, engineio.Options{PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second}, func(t *testing.T, w *world) {
		var mu sync.Mutex
		born := map[*engineio.Socket]time.Time{}
		ended := 0
		w.rec.onOpen = func(s *engineio.Socket) {
			mu.Lock()
			defer mu.Unlock()
			born[s] = time.Now()
		}
		w.rec.onClose = func(s *engineio.Socket) {
			mu.Lock()
			defer mu.Unlock()
			ended++
			if d := time.Since(born[s]); d < 45*time.Second || d > 45*time.Second+2*w.engine.Tick() {
				t.Errorf("ended after %v", d)
			}
		}
		for i := range 300 {
			w.open(3 + i%2)
			<-time.After(time.Duration(i%13) * 19 * time.Millisecond)
		}
		<-time.After(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if s := w.engine.Stats(); ended != 300 || s.Sockets != 0 {
			t.Errorf("%d ended, %+v", ended, s)
		}
		w.rec.drain()
	})
}

// A WebSocket that is opened for a session and does not go on is given up; the
// session stays as it was and can try again.
func TestProbeGivesUp(t *testing.T) {
	o := engineio.Options{UpgradeTimeout: time.Second}
	for name, say := range map[string][]string{
		"nothing": nil, "only the probe": {"2probe"}, "a message": {"4hello"}, "a message after the probe": {"2probe", "4hello"},
		"no probe": {"2"}, "upgrade first": {"5"}, "too much": {"2probe" + strings.Repeat("x", 100)},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, o, func(t *testing.T, w *world) {
				c := w.open(4)
				ws := c.ws()
				for _, p := range say {
					ws.send(p)
					if p == "2probe" {
						ws.receive("3probe")
					}
				}
				var closed *websocket.CloseError
				if err := ws.ended(); !errors.As(err, &closed) {
					t.Error(err)
				}
				c.post("4on").want(t, 200, "ok")
				c.get().want(t, 200, "4on")
				ws = c.upgrade()
				ws.send("4again")
				ws.receive("4again")
				ws.bye()
				w.expect("close: transport close")
			})
		})
	}
}

// Between probe and upgrade packet a poll is held for a moment, then answered;
// what is queued is answered at once.
func TestPollWhileProbing(t *testing.T) {
	inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
		c := w.open(4)
		ws := c.ws()
		ws.send("2probe")
		ws.receive("3probe")
		begin := time.Now()
		c.get().want(t, 200, "6")
		if d := time.Since(begin); d != engineio.ProbeHold {
			t.Errorf("held for %v", d)
		}
		held := c.poll()
		c.post("4now").want(t, 200, "ok")
		(<-held).want(t, 200, "4now")
		if time.Since(begin) != engineio.ProbeHold {
			t.Error("a message was held back")
		}
		held = c.poll()
		ws.send("5")
		(<-held).want(t, 400, badRequest)
		ws.bye()
	})
}

// Messages from a POST that is being handled and from the WebSocket that takes
// over meanwhile are handled one after the other and in order.
func TestHandlerIsNeverCalledTwice(t *testing.T) {
	both(t, engineio.Options{}, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var got []string
		entered, proceed := make(chan bool, 10), make(chan bool)
		w.rec.onMessage = func(s *engineio.Socket, m engineio.Message) {
			if !mu.TryLock() {
				t.Error("two calls at a time")
				return
			}
			defer mu.Unlock()
			got = append(got, string(m.Data))
			entered <- true
			<-proceed
		}
		c := w.open(4)
		posted := make(chan answer, 1)
		go func() { posted <- c.post("4one\x1e4two") }()
		<-entered
		ws := c.upgrade()
		said := make(chan bool)
		go func() { // nobody reads it while the POST is handled
			defer close(said)
			ws.send("4three")
		}()
		for range 2 {
			proceed <- true
			<-entered
		}
		(<-posted).want(t, 200, "ok")
		proceed <- true
		<-said
		ws.bye()
		w.expect("close: transport close")
		if fmt.Sprint(got) != "[one two three]" {
			t.Error(got)
		}
	})
}

// A POST whose body comes after the WebSocket has taken over is refused whole.
func TestPostMeetsUpgrade(t *testing.T) {
	inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
		c := w.open(4)
		nc, err := w.dial(context.Background(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		fmt.Fprintf(nc, "POST /?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n4ab", c.sid)
		synctest.Wait()
		ws := c.upgrade()
		ws.send("4hello")
		ws.receive("4hello")
		fmt.Fprint(nc, "cd")
		line := make([]byte, len("HTTP/1.1 400"))
		if _, err := nc.Read(line); err != nil || string(line) != "HTTP/1.1 400" {
			t.Fatalf("%q %v", line, err)
		}
		ws.send("4still")
		ws.receive("4still")
		ws.bye()
	})
}

// Two bodies at a time end the session; so does one that breaks off.
func TestPostOverlap(t *testing.T) {
	for _, second := range []bool{true, false} {
		inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
			c := w.open(4)
			nc, err := w.dial(context.Background(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(nc, "POST /?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n4ab", c.sid)
			synctest.Wait()
			if second {
				c.post("4x").want(t, 400, badRequest)
			}
			nc.Close()
			w.expect("close: transport error")
			c.get().want(t, 400, unknownSession)
		})
	}
}

// A body that trickles in does not keep its session's request for ever.
func TestSlowBody(t *testing.T) {
	inBubble(t, options(), func(t *testing.T, w *world) {
		c := w.open(4)
		nc, err := w.dial(context.Background(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		fmt.Fprintf(nc, "POST /?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n4ab", c.sid)
		begin := time.Now()
		line := make([]byte, len("HTTP/1.1 400"))
		if _, err := nc.Read(line); err != nil || string(line) != "HTTP/1.1 400" {
			t.Fatalf("%q %v", line, err)
		}
		if d := time.Since(begin); d > pingInterval+pingTimeout {
			t.Errorf("held for %v", d)
		}
		if e := <-w.rec.events; e != "close: ping timeout" && e != "close: transport error" { // both are due at this moment
			t.Error(e)
		}
	})
}

// A panic ends its socket, and no other.
func TestPanics(t *testing.T) {
	for _, call := range []string{"Open", "Message", "Close"} {
		t.Run(call, func(t *testing.T) {
			both(t, engineio.Options{}, func(t *testing.T, w *world) {
				c := &client{world: w, version: 4}
				other := c.ws()
				other.receiveHello()
				w.expect("open")
				switch call {
				case "Open":
					w.rec.onOpen = func(*engineio.Socket) { panic("secret") }
				case "Message":
					w.rec.onMessage = func(s *engineio.Socket, m engineio.Message) {
						if string(m.Data) == "boom" {
							panic(errors.New("secret"))
						}
						s.Send(m)
					}
				case "Close":
					w.rec.onClose = func(*engineio.Socket) { panic(1) }
				}
				ws := c.ws()
				ws.receiveHello()
				switch call {
				case "Message":
					ws.send("4boom")
				case "Close":
					ws.send("1")
				}
				var closed *websocket.CloseError
				if err := ws.ended(); !errors.As(err, &closed) {
					t.Error(err)
				}
				reason := "close: forced close"
				if call == "Close" {
					reason = "close: transport close"
				}
				w.expect("open", reason)

				if call == "Message" {
					p := w.open(4)
					p.post("4boom\x1e4more").want(t, 200, "ok")
					w.expect("close: forced close")
					p.get().want(t, 400, unknownSession)
				}
				w.settle(func() bool { return w.engine.Stats().Panics > 0 })
				other.send("4on")
				other.receive("4on")
				w.rec.onClose = nil
				other.bye()
				w.expect("close: transport close")
			})
		})
	}
}

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
		c.get().want(t, 200, "4a\x1e4b\x1e1")
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
		c.get().want(t, 200, "4a\x1e1")
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
		w.quiet() // the handler is not told while it is busy
		close(proceed)
		w.expect("close: server shutting down")
		ws.Close()
	})
}

// What one Send queues stays together, whoever else sends.
func TestSendIsContiguous(t *testing.T) {
	both(t, engineio.Options{}, func(t *testing.T, w *world) {
		ws := (&client{world: w, version: 4}).ws()
		s := w.engine.Find(ws.receiveHello().SID)
		var senders sync.WaitGroup
		for g := range 4 {
			senders.Go(func() {
				for range 50 {
					head := engineio.Message{Data: fmt.Appendf(nil, "%d", g)}
					for s.Send(head, engineio.Message{Binary: true, Data: []byte{byte(g)}}) == engineio.ErrFull {
						s.WaitWritable(time.Second)
					}
				}
			})
		}
		for range 4 * 50 {
			_, p, err := ws.ReadMessage(100)
			if err != nil {
				t.Fatal(err)
			}
			ws.receiveBinary(p[1] - '0')
		}
		senders.Wait()
		ws.bye()
	})
}

// Behind TLS the road is another, and everything is the same.
func TestOverTLS(t *testing.T) {
	rec := &recorder{events: make(chan string, 100)}
	engine := engineio.New(rec, engineio.Options{})
	srv := httptest.NewTLSServer(engine)
	defer srv.Close()
	roots := srv.Client().Transport.(*http.Transport).TLSClientConfig
	d := websocket.Dialer{TLS: roots}
	c, err := d.Dial(t.Context(), "wss"+strings.TrimPrefix(srv.URL, "https")+"/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.NetConn().SetDeadline(time.Now().Add(10 * time.Second))
	w := &world{T: t, engine: engine, rec: rec}
	ws := &socket{w, c}
	s := engine.Find(ws.receiveHello().SID)
	big := strings.Repeat("x", 1<<20-100)
	payloads := []string{"one", big, "two"}
	wrote := make(chan error, 1)
	go func() { wrote <- writeRaw(s, frames(payloads)) }()
	for _, p := range packets(payloads) {
		ws.receive(p)
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- engine.Close(context.Background()) }()
	var bye *websocket.CloseError
	if err := ws.ended(); !errors.As(err, &bye) {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	w.expect("open", "close: server shutting down")
}
