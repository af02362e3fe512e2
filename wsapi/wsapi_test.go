package wsapi

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/clientaddr"
	"github.com/roomtide/roomtide/internal/connlimit"
	"github.com/roomtide/roomtide/websocket"
	"github.com/roomtide/roomtide/wire"
)

func TestConversation(t *testing.T) {
	forBoth(t, func(t *testing.T, useTLS bool) {
		s := newStand(t, Config{}, useTLS)
		c := s.dial()
		if c.Protocol() != Protocol {
			t.Errorf("subprotocol %q", c.Protocol())
		}
		c.hello()
		c.send(`{"type":"join","id":2,"room":"room1"}`)
		c.want(`{"type":"ack","id":2}`)
		long := strings.Repeat("x", 70_000)
		for i, text := range []string{"", "Hello", strings.Repeat("x", 200), long} {
			m := &chat.Message{Room: "room1", Seq: chat.Seq(i + 1), Rev: chat.Rev(i + 1), User: "user1", Text: text}
			ev := &chat.Event{Kind: chat.EventMessage, Room: "room1", Rev: m.Rev, Message: m}
			s.hub.Deliver(bus.Ephemeral(0, ev))
			c.want(string(wire.AppendEvent(nil, ev)))
		}
		c.send(`{"room":"r","id":3,"message":"` + strings.Repeat("y", 60_000) + `"}`)
		c.want(`{"type":"ack","id":3,"room":"` + strings.Repeat("y", 60_000) + `"}`)
	})
}

// A frame that makes no sense is answered, and the connection stays.
func TestBadFramesAreAnswered(t *testing.T) {
	s := newStand(t, Config{}, false)
	c := s.dial()
	c.hello()
	for range 3 {
		for range maxBad {
			c.send(`{"type":"nonsense","id":9}`)
			c.want(`{"type":"error","id":9,"command":"nonsense","code":"unknown_type","message":"unknown type"}`)
		}
		c.send(`{"type":"ping","id":10}`) // a good one: the count starts again
		c.want(`{"type":"ack","id":10}`)
	}
	c.WriteMessage(websocket.Binary, []byte(`{"type":"ping"}`))
	c.want(`{"type":"error","code":"invalid","message":"send text frames"}`)
	for range maxBad {
		c.send(`not JSON`)
	}
	c.wantBye(chat.ByeProtocol)
}

// The goodbye arrives whatever the peer was in the middle of sending.
func TestBrokenFramesEndIt(t *testing.T) {
	big := bytes.Repeat([]byte("x"), 300_000)
	for _, tt := range []struct {
		name string
		send func(c *peerConn)
		bye  chat.Goodbye
	}{
		{"not masked", func(c *peerConn) { c.NetConn().Write([]byte{0x81, 1, 'x'}) }, chat.ByeProtocol},
		{"reserved bit", func(c *peerConn) { c.NetConn().Write([]byte{0xc1, 0x80, 0, 0, 0, 0}) }, chat.ByeProtocol},
		{"length 2^64-1", func(c *peerConn) { c.NetConn().Write(append([]byte{0x82, 0xff}, bytes.Repeat([]byte{0xff}, 12)...)) }, chat.ByeProtocol},
		{"not UTF-8", func(c *peerConn) { c.WriteMessage(websocket.Text, []byte("\xff")) }, chat.ByeProtocol},
		{"too large", func(c *peerConn) { c.WriteMessage(websocket.Text, big) }, chat.ByeTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			forBoth(t, func(t *testing.T, useTLS bool) {
				if useTLS && tt.name == "too large" {
					return // the goodbye may be lost there: TLS cannot end one half
				}
				c := newStand(t, Config{}, useTLS).dial()
				c.hello()
				tt.send(c)
				c.wantBye(tt.bye)
			})
		})
	}
}

// Before hello only small frames are taken, and not many.
func TestBeforeHello(t *testing.T) {
	s := newStand(t, Config{}, false)
	c := s.dial()
	c.send(`{"type":"hello","id":1,"token":"` + strings.Repeat("t", helloBytes) + `"}`)
	c.wantBye(chat.ByeTooLarge)

	c = s.dial()
	for range maxBad + 1 {
		c.send(`{"type":"hello","id":1,"token":"wrong"}`)
	}
	c.wantBye(chat.ByeProtocol)
}

// turnsPerPing is how many turns there are between two pings.
const turnsPerPing = ticksPerPing / pingSpread

// turn is a fifth of the time between pings.
func (s *stand) turn() {
	for range pingSpread {
		s.tick()
	}
}

func TestHeartbeat(t *testing.T) {
	s := newStand(t, Config{}, false)
	silent, alive, guest := s.dial(), s.dial(), s.dial()
	silent.hello()
	alive.hello()
	s.await(func() bool { return len(s.wheel.All()) == 3 }) // the guest is on the wheel too
	pings := 0
	alive.OnPing = func(p []byte) {
		pings++
		alive.WriteMessage(websocket.Pong, p)
	}
	for turn := 1; turn <= 3*turnsPerPing; turn++ {
		if turn == 4 { // 15 seconds, 10 to say hello
			guest.wantBye(chat.ByeNoHello)
		}
		s.turn()
		// The answer comes behind a ping of this turn, and the server has read
		// the pong before it: nothing here depends on time.
		alive.send(`{"type":"ping","id":5}`)
		alive.want(`{"type":"ack","id":5}`)
		alive.send(`{"type":"ping","id":6}`)
		alive.want(`{"type":"ack","id":6}`)
	}
	silent.OnPing = func([]byte) {} // reads, and does not answer
	silent.wantBye(chat.ByeTimeout)
	if pings != 2 && pings != 3 {
		t.Errorf("%d pings in 75 seconds", pings)
	}
}

// Pongs alone keep a connection alive.
func TestPongKeepsAlive(t *testing.T) {
	s := newStand(t, Config{}, false)
	c := s.dial()
	c.hello()
	for range 10 * turnsPerPing {
		s.turn()
		c.WriteMessage(websocket.Pong, nil)
		c.WriteMessage(websocket.Ping, []byte("sync"))
		synced := false
		c.OnPong = func() { synced = true }
		c.send(`{"type":"nonsense","id":1}`)
		c.want(`{"type":"error","id":1,"command":"nonsense","code":"unknown_type","message":"unknown type"}`)
		if !synced {
			t.Fatal("the ping was not answered, or out of order")
		}
		c.send(`{"type":"ping","id":2}`)
		c.want(`{"type":"ack","id":2}`)
	}
}

func TestPingFlood(t *testing.T) {
	s := newStand(t, Config{}, false)
	c := s.dial()
	c.hello()
	for range maxPings + 1 {
		c.WriteMessage(websocket.Ping, nil)
	}
	c.wantBye(chat.ByeFlood)
}

// The limit on pings holds for one tick.
func TestManyPings(t *testing.T) {
	s := newStand(t, Config{}, false)
	c := s.dial()
	c.hello()
	for range 3 {
		for range maxPings - 1 {
			c.WriteMessage(websocket.Ping, nil)
		}
		c.send(`{"type":"ping","id":1}`)
		c.want(`{"type":"ack","id":1}`)
		s.tick()
	}
}

// A close frame is answered with its code, and without a goodbye.
func TestPeerCloses(t *testing.T) {
	forBoth(t, func(t *testing.T, useTLS bool) {
		s := newStand(t, Config{}, useTLS)
		for i, code := range []int{websocket.CodeNormal, 4999, websocket.CodeNone} {
			c := s.dial()
			c.hello()
			c.WriteClose(code, "")
			var closed *websocket.CloseError
			if _, p, err := c.ReadMessage(1000); !errors.As(err, &closed) || closed.Code != code {
				t.Errorf("closed with %d: %s %v", code, p, err)
			}
			c.wantEnd()
			<-s.session(i).closed
		}
	})
}

// A panic ends its connection, and the log does not hold what was sent.
func TestPanic(t *testing.T) {
	s := newStand(t, Config{}, false)
	c := s.dial()
	c.hello()
	other := s.dial()
	other.hello()
	c.send(`{"room":"r","message":"panic"}`)
	c.wantBye(chat.ByeInternal)
	<-s.session(0).closed
	other.send(`{"type":"ping","id":7}`)
	other.want(`{"type":"ack","id":7}`)
	if log := s.log.String(); !strings.Contains(log, "a handler panicked") || strings.Contains(log, "message body") {
		t.Errorf("log: %s", log)
	}
}

// status answers a handshake that is refused.
func (s *stand) status(header http.Header) *websocket.HandshakeError {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 20*time.Second)
	defer cancel()
	c, err := websocket.Dial(ctx, s.url, header)
	var he *websocket.HandshakeError
	if err == nil {
		c.Close()
		s.Fatal("the handshake was accepted")
	}
	if !errors.As(err, &he) {
		s.Fatal(err)
	}
	return he
}

func TestAdmission(t *testing.T) {
	s := newStand(t, Config{Conns: connlimit.New(3, 2)}, false)
	if he := s.status(http.Header{"Origin": {"https://evil.example"}}); he.Status != http.StatusForbidden {
		t.Errorf("foreign origin: %d", he.Status)
	}
	a := s.dial()
	a.hello()
	b := s.dial()
	b.hello()
	s.await(func() bool { return s.cfg.Conns.InUse() == 2 })
	if he := s.status(nil); he.Status != http.StatusTooManyRequests || he.Header.Get("Retry-After") == "" {
		t.Errorf("third from one address: %d", he.Status)
	}
	a.WriteClose(websocket.CodeNormal, "")
	a.ReadMessage(100)
	a.wantEnd()
	a.Close()
	<-s.session(0).closed
	// Its place comes back when the server has let go of the socket.
	s.await(func() bool { return s.cfg.Conns.InUse() == 1 })
	s.dial().hello()

	elsewhere := netip.MustParsePrefix("192.0.2.1/32") // another transport's client
	if _, status := s.cfg.Conns.Acquire(elsewhere); status != 0 {
		t.Fatal(status)
	}
	if he := s.status(nil); he.Status != http.StatusServiceUnavailable || he.Header.Get("Retry-After") == "" {
		t.Errorf("full: %d", he.Status)
	}
	s.cfg.Conns.Release(elsewhere)
}

// A flood of handshakes takes no place of those that have identified themselves. It
// ends its own oldest connections, which are told so.
func TestFloodOfHandshakes(t *testing.T) {
	forBoth(t, func(t *testing.T, useTLS bool) {
		conns, pending := connlimit.New(2, 2), connlimit.NewPending(10, 3)
		s := newStand(t, Config{Conns: conns, Pending: pending}, useTLS)
		a := s.dial()
		a.hello()
		s.await(func() bool { return conns.InUse() == 1 })
		old := s.dial()
		s.await(func() bool { return pending.InUse() == 1 }) // it is the oldest
		for range 5 {
			s.dial()
		}
		old.wantBye(chat.ByeBusy)
		s.await(func() bool { return pending.InUse() == 3 && pending.Evicted() == 3 })
		if conns.InUse() != 1 {
			t.Errorf("%d places", conns.InUse())
		}
		s.dial().hello()
		a.send(`{"type":"ping","id":10}`)
		a.want(`{"type":"ack","id":10}`)
	})
}

// Of two clients that ask for the last place at the same time, one is told that there is
// none.
func TestLastPlace(t *testing.T) {
	s := newStand(t, Config{Conns: connlimit.New(1, 0)}, false)
	a, b := s.dial(), s.dial()
	a.hello()
	s.await(func() bool { return s.cfg.Conns.InUse() == 1 }) // it is taken behind the ack
	b.send(`{"type":"hello","id":1,"user":"user1"}`)
	b.wantBye(chat.ByeBusy)
	a.send(`{"type":"ping","id":10}`)
	a.want(`{"type":"ack","id":10}`)
}

// A handshake that fails gives its place back.
func TestRefusedHandshakeLeavesNothing(t *testing.T) {
	s := newStand(t, Config{Conns: connlimit.New(1, 0)}, false)
	for range 3 {
		resp, err := http.Get("http" + strings.TrimPrefix(s.url, "ws"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusUpgradeRequired {
			t.Errorf("status %d", resp.StatusCode)
		}
	}
	s.dial().hello()
}

// Close sends a goodbye on all connections, and no new one is admitted.
func TestClose(t *testing.T) {
	forBoth(t, func(t *testing.T, useTLS bool) {
		s := newStand(t, Config{}, useTLS)
		a, b := s.dial(), s.dial()
		a.hello()
		done := make(chan struct{})
		go func() {
			s.Handler.Close()
			close(done)
		}()
		a.wantBye(chat.ByeDraining)
		b.wantBye(chat.ByeDraining)
		a.Close()
		b.Close()
		<-done
		if _, status := s.admit(clientaddr.Network(clientaddr.Peer(&http.Request{RemoteAddr: "127.0.0.1:1"}))); status != http.StatusServiceUnavailable {
			t.Errorf("after Close: %d", status)
		}
	})
}

func TestSeal(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, 70_000} {
		payload := bytes.Repeat([]byte("x"), n)
		dst, start := open([]byte("before"))
		got := seal(append(dst, payload...), start, false)
		want := append(websocket.AppendHeader([]byte("before"), websocket.Text, n), payload...)
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes: frame of %d, want %d", n, len(got), len(want))
		}
	}
}
