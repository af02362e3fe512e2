package engineio_test

import (
	"context"
	"errors"
	"fmt"
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

// What one Send queues stays together, whatever other goroutines send.
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

// TLS takes the buffered writer, and behaves the same.
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
