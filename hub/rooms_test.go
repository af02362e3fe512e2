package hub

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/roomtide/roomtide/bus/membus"
	"github.com/roomtide/roomtide/chat"
)

func TestSubscribeFails(t *testing.T) {
	inBubble(t, Config{}, func(h *harness) {
		c, _ := h.conn(-1)
		if err := h.bus.Close(); err != nil {
			t.Fatal(err)
		}
		err := c.Open("r")
		var e *chat.Error
		if !errors.As(err, &e) || e.Kind != chat.Unavailable || c.Joined("r") || h.rooms.get("r") != nil {
			t.Fatal(err, c.Joined("r"))
		}
		c.Detach()
	})
}

// gateBus lets the test decide when Subscribe and Unsubscribe return.
type gateBus struct {
	*membus.Bus
	gate chan struct{}

	mu    sync.Mutex
	calls []string
}

func (b *gateBus) note(s string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, s)
}

func (b *gateBus) Subscribe(room chat.RoomID) error {
	b.note("subscribe")
	<-b.gate
	defer b.note("subscribed")
	return b.Bus.Subscribe(room)
}

func (b *gateBus) Unsubscribe(room chat.RoomID) error {
	b.note("unsubscribe")
	<-b.gate
	defer b.note("unsubscribed")
	return b.Bus.Unsubscribe(room)
}

// Subscribe and Unsubscribe of one room never overlap, and nobody has a seat
// before the node is subscribed.
func TestSubscriptionOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &gateBus{Bus: membus.New(), gate: make(chan struct{})}
		h := New(Config{Bus: b, Workers: 1})
		defer h.Close()
		conns := []*Conn{}
		for range 3 {
			conns = append(conns, h.Attach(newFakeLink(-1), lineEncoding{}))
		}
		open := func(c *Conn) {
			if err := c.Open("r"); err != nil {
				t.Error(err)
			}
		}
		check := func(want string, joined ...bool) {
			t.Helper()
			synctest.Wait()
			b.mu.Lock()
			got := strings.Join(b.calls, " ")
			b.calls = nil
			b.mu.Unlock()
			if got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
			for i, j := range joined {
				if conns[i].Joined("r") != j {
					t.Fatalf("joined of %d is %v", i, !j)
				}
			}
		}
		go open(conns[0])
		synctest.Wait()
		go open(conns[1])
		check("subscribe", false, false)
		b.gate <- struct{}{}
		check("subscribed", true, true)
		conns[0].Leave("r")
		check("", false, true)
		go conns[1].Detach()
		check("unsubscribe")
		go open(conns[2])
		check("", false, false, false)
		b.gate <- struct{}{}
		check("unsubscribed subscribe", false, false, false)
		b.gate <- struct{}{}
		check("subscribed", false, false, true)
		go conns[2].Detach()
		b.gate <- struct{}{}
		check("unsubscribe unsubscribed")
		conns[0].Detach()
	})
}
