package hub

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/bus/membus"
	"github.com/roomtide/roomtide/chat"
)

func TestSubscribeFails(t *testing.T) {
	inBubble(t, Config{}, func(h *harness) {
		c, _ := h.conn(-1)
		if err := h.bus.Close(); err != nil {
			t.Fatal(err)
		}
		err := c.Subscribe("r")
		var e *chat.Error
		if !errors.As(err, &e) || e.Kind != chat.Unavailable || c.Subscribed("r") || h.rooms.get("r") != nil {
			t.Fatal(err, c.Subscribed("r"))
		}
		c.Detach()
	})
}

// gateBus lets the test decide when Subscribe returns, and with what.
type gateBus struct {
	*membus.Bus
	gate chan error

	mu    sync.Mutex
	calls []string
}

func (b *gateBus) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, fmt.Sprintf(format, args...))
}

func (b *gateBus) Subscribe(lane bus.Lane) error {
	b.note("subscribe %d", lane)
	if err := <-b.gate; err != nil {
		return err
	}
	return b.Bus.Subscribe(lane)
}

func (b *gateBus) Unsubscribe(lane bus.Lane) error {
	b.note("unsubscribe %d", lane)
	return b.Bus.Unsubscribe(lane)
}

// No connection is in a room before the hub listens to the lane of the room. A lane
// is asked for once, and kept until the hub is closed.
func TestLanesAreSubscribedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &gateBus{Bus: membus.New(), gate: make(chan error)}
		h := New(Config{Bus: b, Workers: 1, Lane: func(room chat.RoomID) bus.Lane { return bus.Lane(len(room)) }})
		var conns []*Conn
		for range 3 {
			conns = append(conns, h.Attach(newFakeLink(-1), lineEncoding{}))
		}
		failed := make(chan error, 10)
		open := func(c *Conn, room chat.RoomID) {
			if err := c.Subscribe(room); err != nil {
				failed <- err
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
				if conns[i].Subscribed("r") != j {
					t.Fatalf("joined of %d is %v", i, !j)
				}
			}
		}
		go open(conns[0], "r")
		check("subscribe 1", false, false)
		b.gate <- errors.New("no network")
		check("", false, false)
		if err := <-failed; chat.KindOf(err) != chat.Unavailable {
			t.Fatal(err)
		}
		go open(conns[0], "r")
		go open(conns[1], "r")
		check("subscribe 1", false, false)
		b.gate <- nil
		check("", true, true, false)
		conns[0].Unsubscribe("r")
		conns[1].Detach()
		open(conns[2], "r")
		check("", false, false, true)
		go open(conns[2], "other")
		check("subscribe 5")
		b.gate <- nil
		check("")
		conns[0].Detach()
		conns[2].Detach()
		h.Close()
		b.mu.Lock()
		slices.Sort(b.calls)
		b.mu.Unlock()
		check("unsubscribe 1 unsubscribe 5")
	})
}
