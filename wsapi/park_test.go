package wsapi

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/websocket"
	"github.com/roomtide/roomtide/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parked waits until there are n connections and all are parked.
func (s *stand) parked(n int) {
	s.await(func() bool {
		there := 0
		for _, c := range s.wheel.All() {
			if there++; c.reader.Parks() && !c.reader.Parked() {
				return false
			}
		}
		return there == n
	})
}

// client is the one that belongs to conn, nil if it is gone.
func (s *stand) client(conn *hub.Conn) *client {
	for _, c := range s.wheel.All() {
		if c.conn == conn {
			return c
		}
	}
	return nil
}

// Whatever can happen to a connection happens to one that is parked too.
func TestParked(t *testing.T) {
	for name, then := range map[string]func(s *stand, c *peerConn){
		"answers": func(_ *stand, c *peerConn) {
			c.send(`{"type":"ping","id":2}`)
			c.want(`{"type":"ack","id":2}`)
		},
		"gets events": func(s *stand, c *peerConn) {
			ev := &chat.Event{Kind: chat.EventMessage, Room: "room1", Rev: 1,
				Message: &chat.Message{Room: "room1", Seq: 1, Rev: 1, User: "user1", Text: "Hello"}}
			s.hub.Deliver(bus.Ephemeral(0, ev))
			c.want(string(wire.AppendEvent(nil, ev)))
		},
		"answers pings": func(_ *stand, c *peerConn) {
			ponged := false
			c.OnPong = func() { ponged = true }
			c.WriteMessage(websocket.Ping, []byte("x"))
			c.send(`{"type":"ping","id":2}`)
			if c.want(`{"type":"ack","id":2}`); !ponged {
				c.Error("no pong")
			}
		},
		"is pinged, and lives by its pongs": func(s *stand, c *peerConn) {
			pings := make(chan bool, 100)
			c.OnPing = func(p []byte) {
				c.WriteMessage(websocket.Pong, p)
				pings <- true
			}
			go c.ReadMessage(100)
			k := s.client(s.session(0).conn)
			for range 20 * turnsPerPing {
				before, due := s.wheel.Now(), k.nextPing
				s.turn()
				if s.wheel.Now() >= due {
					<-pings
					s.await(func() bool { return time.Duration(k.lastSeen.Load()) > before })
				}
			}
			c.Close()
		},
		"times out": func(s *stand, c *peerConn) {
			c.OnPing = func([]byte) {}
			for range 4 * turnsPerPing {
				s.turn()
			}
			c.wantBye(chat.ByeTimeout)
		},
		"is told goodbye":      func(s *stand, c *peerConn) { s.session(0).conn.Close(chat.ByeExpired); c.wantBye(chat.ByeExpired) },
		"is told of the drain": func(s *stand, c *peerConn) { s.hub.Drain(chat.ByeDraining); c.wantBye(chat.ByeDraining) },
		"ends in good order":   func(_ *stand, c *peerConn) { c.WriteClose(websocket.CodeNormal, "") },
		"vanishes":             func(_ *stand, c *peerConn) { c.Close() },
		"breaks the rules": func(_ *stand, c *peerConn) {
			c.NetConn().Write([]byte{0xc1, 0x80, 0, 0, 0, 0})
			c.wantBye(chat.ByeProtocol)
		},
		"stops in a frame": func(s *stand, c *peerConn) {
			f := masked(`{"type":"ping","id":2}`)
			for _, part := range [][]byte{f[:1], f[1:4], f[4:9], f[9:]} {
				s.parked(1)
				c.NetConn().Write(part)
			}
			c.want(`{"type":"ack","id":2}`)
		},
		"stops in a frame and times out": func(s *stand, c *peerConn) {
			c.NetConn().Write(masked(`{"type":"ping","id":2}`)[:9])
			c.OnPing = func([]byte) {}
			for range 4 * turnsPerPing {
				s.turn()
			}
			c.wantBye(chat.ByeTimeout)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, Config{}, false)
			c := s.dial()
			c.hello()
			c.send(`{"type":"join","id":2,"room":"room1"}`)
			c.want(`{"type":"ack","id":2}`)
			s.parked(1)
			then(s, c)
			c.Close()
			<-s.session(0).closed
			s.await(func() bool { return s.cfg.Conns.InUse() == 0 })
		})
	}
}

// masked is a text frame as a client sends it, with a mask of zeros.
func masked(text string) []byte {
	f := websocket.AppendHeader(nil, websocket.Text, len(text))
	f[1] |= 0x80
	return append(append(f, 0, 0, 0, 0), text...)
}

// A peer that reads nothing leaves half a frame in its link, which ends without
// a goodbye. Its reader is parked, and learns of it.
func TestParkedAndStalled(t *testing.T) {
	s := newStand(t, Config{}, false)
	c := s.dial()
	c.hello()
	s.parked(1)
	k := s.client(s.session(0).conn)
	c.NetConn().(*net.TCPConn).SetReadBuffer(8 << 10)
	k.ws.NetConn().(*net.TCPConn).SetWriteBuffer(8 << 10)
	for ended := false; !ended; { // the hub ends it when too much waits
		k.conn.Send(make([]byte, 64<<10))
		select {
		case <-s.session(0).closed:
			ended = true
		default:
		}
	}
	s.await(func() bool { return s.cfg.Conns.InUse() == 0 })
}

// Idle connections have no goroutines.
func TestParkedConnectionsHaveNoGoroutines(t *testing.T) {
	s := newStand(t, Config{}, false)
	const conns = 100
	for range conns {
		s.dial().hello()
	}
	s.parked(conns)
	if !s.client(s.session(0).conn).reader.Parks() {
		return // and here they have
	}
	// Those of net/http end a little later.
	for runtime.NumGoroutine() > conns/2 {
		runtime.Gosched()
	}
}

// Where the kernel does not want to watch one more socket, a goroutine waits.
func TestWithoutParking(t *testing.T) {
	s := newStand(t, Config{}, false)
	c := s.dial()
	c.hello()
	s.parked(1)
	k := s.client(s.session(0).conn)
	k.reader.Release() // now Park fails
	k.reader.Wake()
	for range 3 {
		c.send(`{"type":"ping","id":2}`)
		c.want(`{"type":"ack","id":2}`)
	}
	s.session(0).conn.Close(chat.ByeExpired)
	c.wantBye(chat.ByeExpired)
}

// However its frames are cut and whenever they come, a connection's commands are
// done once and in order.
func TestPiecemeal(t *testing.T) {
	s := newStand(t, Config{}, false)
	const conns, commands = 20, 60
	var peers sync.WaitGroup
	for i := range conns {
		c := s.dial()
		c.hello()
		r := rand.New(rand.NewPCG(uint64(i), 7))
		k := s.client(s.session(i).conn)
		peers.Go(func() { c.sendPiecemeal(r, commands, k) })
		peers.Go(func() {
			for n := range commands {
				want := fmt.Sprintf(`{"type":"ack","id":%d}`, n)
				if _, got, err := c.ReadMessage(1 << 20); err != nil || string(got) != want {
					t.Errorf("%.100s, %v, want %s", got, err, want)
					return
				}
			}
		})
	}
	peers.Wait()
	s.parked(conns)
}

// sendPiecemeal sends numbered commands, whole, in fragments, with pings between
// them, small and large, in writes that end anywhere in a frame. Now and then it
// waits until the server has parked the connection, k.
func (p *peerConn) sendPiecemeal(r *rand.Rand, commands int, k *client) {
	var out bytes.Buffer
	for n := range commands {
		text := fmt.Sprintf(`{"type":"ping","id":%d,"x":"%s"}`, n, strings.Repeat("x", r.IntN(100)*r.IntN(50)))
		f := masked(text)
		switch r.IntN(3) {
		case 0:
			cut := r.IntN(len(text))
			first, second := masked(text[:cut]), masked(text[cut:])
			first[0], second[0] = 0x01, 0x80
			out.Write(first)
			out.Write([]byte{0x89, 0x80, 0, 0, 0, 0}) // ping
			out.Write(second)
		default:
			out.Write(f)
		}
	}
	for out.Len() > 0 {
		piece := out.Next(1 + r.IntN(1+r.IntN(3000)))
		if _, err := p.NetConn().Write(piece); err != nil {
			p.Error(err)
			return
		}
		switch r.IntN(20) {
		case 0:
			for k.reader.Parks() && !k.reader.Parked() {
				runtime.Gosched()
			}
		case 1:
			runtime.Gosched()
		}
	}
}

// Everything may happen at once: peers send and close, the server closes.
func TestGoodbyeWhileReading(t *testing.T) {
	s := newStand(t, Config{}, false)
	var peers sync.WaitGroup
	for i := range 60 {
		c := s.dial()
		c.hello()
		f := masked(`{"type":"ping"}`)
		peers.Go(func() {
			for n := range 1 + i%7 {
				c.NetConn().Write(f[:n])
				c.NetConn().Write(f[n:])
			}
			switch i % 3 {
			case 0:
				c.Close()
			case 1:
				c.WriteClose(websocket.CodeNormal, "")
				fallthrough
			default:
				io.Copy(io.Discard, c.NetConn())
				c.Close()
			}
		})
		peers.Go(func() { s.session(i).conn.Close(chat.ByeExpired) })
	}
	peers.Wait()
	s.await(func() bool { return s.cfg.Conns.InUse() == 0 })
}
