package socketio_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/socketio"
)

// An offset of another server means nothing, whatever number it holds.
func TestRecoveryWithAnOffsetOfAnotherServer(t *testing.T) {
	w, joined := recoveringWorld(t, recovering())
	m := w.member()
	<-joined
	m.offset = "elsewhere.1"
	w.io.Of("/").To("room").Emit("a") // it is not read
	m.cut()
	m.wantBack(`["a"]`)
}

// What was sent to a room before the client was in it is not replayed.
func TestRecoveryOfRoomsJoinedLater(t *testing.T) {
	w, joined := recoveringWorld(t, recovering())
	n := w.io.Of("/")
	m := w.member()
	s := <-joined
	n.To("secret").Emit("before")
	s.Join("secret")
	n.To("secret").Emit("after")
	s.Leave("room")
	n.To("room").Emit("after it left")
	m.cut()
	m.wantBack(`["after"]`)
}

func TestRecoveryWindow(t *testing.T) {
	inBubble(t, recovering(), func(io *socketio.Server) { inRoom(make(chan *socketio.Socket, 10))(io) }, func(w *world) {
		n := w.io.Of("/")
		m := w.member()
		m.cut()
		time.Sleep(119 * time.Second) // the clock of the bubble
		n.To("room").Emit("a")
		m.wantBack(`["a"]`)
		m.cut()
		time.Sleep(121 * time.Second)
		m.wantNew()
		m.cut()
	})
}

func TestRecoveryBounds(t *testing.T) {
	o := recovering()
	o.Recovery.MaxSessions = 2
	w, _ := recoveringWorld(t, o)
	list := []*member{w.member(), w.member(), w.member()}
	for _, m := range list {
		m.cut()
		w.waitGone(m.sid)
	}
	list[0].wantNew()
	list[1].wantBack()
	list[2].wantBack()

	// More than a connection takes at once is not repeated.
	o = recovering()
	o.Engine = engineio.Options{MaxQueued: 10_000}
	w, _ = recoveringWorld(t, o)
	m := w.member()
	m.cut()
	w.waitGone(m.sid)
	for range 20 {
		w.io.Of("/").Emit("a", strings.Repeat("x", 1000))
	}
	m.wantNew()
	w.io.Of("/").Emit("b")
	m.wantEvents(`["b"]`)
}

// The middleware is asked again, unless the program does not want that.
func TestRecoveryAndMiddleware(t *testing.T) {
	for _, skip := range []bool{false, true} {
		o := recovering()
		o.Recovery.SkipMiddleware = skip
		var asked atomic.Int32
		w := overTCP(t, o, func(io *socketio.Server) {
			io.Of("/").Use(func(s *socketio.Socket) error {
				n := asked.Add(1)
				s.SetData(int(n))
				if n == 3 {
					return errors.New("banned")
				}
				return nil
			})
		})
		m := w.member()
		m.cut()
		m.wantBack()
		s := w.io.Of("/").Socket(m.sid)
		if skip {
			if asked.Load() != 1 || s.Data() != 1 {
				t.Errorf("asked %d times, %v", asked.Load(), s.Data())
			}
			continue
		}
		if asked.Load() != 2 || s.Data() != 2 {
			t.Errorf("asked %d times, %v", asked.Load(), s.Data())
		}
		m.cut()
		w.waitGone(m.sid)
		m.peer = w.connect("4")
		m.send(fmt.Sprintf(`40{"pid":%q}`, m.pid))
		m.want(`44{"message":"banned"}`)
		m.wantNew()
	}
}

// A connection that ends while the middleware decides does not use the session up.
func TestRecoveryOfARecoveryCutShort(t *testing.T) {
	var asked atomic.Int32
	inBubble(t, recovering(), func(io *socketio.Server) {
		io.Of("/").Use(func(s *socketio.Socket) error {
			if asked.Add(1) == 2 {
				time.Sleep(50 * time.Second) // longer than a client may take to join
			}
			return nil
		})
	}, func(w *world) {
		m := w.member()
		m.cut()
		cut := w.connect("4")
		cut.send(fmt.Sprintf(`40{"pid":%q}`, m.pid))
		cut.ws.NetConn().SetReadDeadline(time.Time{})
		for {
			if _, _, err := cut.ws.ReadMessage(1000); err != nil {
				break
			}
		}
		cut.cut()
		time.Sleep(10 * time.Second)
		m.wantBack()
		m.cut()
	})
}

// Clients 1 and 2 do not have it.
func TestRecoveryAndProtocol4(t *testing.T) {
	w, joined := recoveringWorld(t, recovering())
	p := w.connect("3")
	p.want("40")
	<-joined
	w.io.Of("/").To("room").Emit("a", 1)
	p.want(`42["a",1]`)
}

// Whatever happens to its connection, a client gets everything once and in order.
func TestRecoveryLosesNothing(t *testing.T) {
	w, joined := recoveringWorld(t, recovering())
	n := w.io.Of("/")
	m := w.member()
	s := <-joined
	const events = 3000
	done := make(chan struct{})
	ahead := make(chan struct{}, 200) // what the client has not read yet
	go func() {
		defer close(done)
		for i := range events {
			ahead <- struct{}{}
			switch i % 3 {
			case 0:
				n.To("room").Emit("n", i)
			case 1:
				n.ToID(s.ID()).Emit("n", i)
			default:
				n.Emit("n", i)
			}
			n.To("else").Emit("noise")
			n.To("room").Volatile().Emit("v")
		}
	}()
	next, cuts := 0, 0
	take := func(event string) {
		if event == `["v"]` {
			return
		}
		if want := fmt.Sprintf(`["n",%d]`, next); event != want {
			t.Fatalf("got %s, want %s after %d cuts", event, want, cuts)
		}
		<-ahead
		next++
	}
	for next < events {
		for range 20 + next%37 {
			if next < events {
				take(m.event())
			}
		}
		if next%2 == 0 {
			m.cut() // otherwise the old connection lingers
		}
		missed, recovered := m.back()
		if cuts++; !recovered {
			t.Fatalf("not recovered after %d cuts", cuts)
		}
		for _, event := range missed {
			take(event)
		}
		<-joined
	}
	<-done
	if cuts < 10 {
		t.Errorf("only %d cuts", cuts)
	}
}
