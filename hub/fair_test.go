package hub

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/roomtide/roomtide/chat"
)

// A large room is served in slices: a small one that got something later does
// not wait for all of it.
func TestLargeRoomLetsOthersIn(t *testing.T) {
	const large = 100
	cfg := Config{Workers: 1, scanSize: 10}
	inBubble(t, cfg, func(h *harness) {
		var mu sync.Mutex
		var order []string
		seat := func(name string, room chat.RoomID) *Conn {
			c, l := h.conn(-1)
			l.onBytes = func([]byte) {
				mu.Lock()
				defer mu.Unlock()
				if len(order) == 5 && name != "small" { // in the middle of the first slice
					h.publish("small", message("small", 1, "x"))
				}
				order = append(order, name)
			}
			h.join(c, room, 0)
			return c
		}
		var conns []*Conn
		for i := range large {
			conns = append(conns, seat(fmt.Sprint(i), "large"))
		}
		conns = append(conns, seat("small", "small"))
		synctest.Wait()
		h.publish("large", message("large", 1, "x"))
		synctest.Wait()
		if len(order) != large+1 {
			t.Fatalf("%d writes", len(order))
		}
		if at := slices.Index(order, "small"); at < 6 || at > 25 {
			t.Errorf("the small room was served after %d of %d writes", at, large)
		}
		for _, c := range conns {
			c.Detach()
		}
	})
}

// Subscriptions that end while a scan is under way make no other one miss anything.
func TestSubscriptionsMoveDuringAScan(t *testing.T) {
	cfg := Config{Workers: 1, scanSize: 3, RoomLogBytes: 1 << 20}
	inBubble(t, cfg, func(h *harness) {
		type seat struct {
			c *Conn
			l *fakeLink
		}
		var seats []seat
		leaving := []int{0, 1, 5, 6}
		left := false
		for i := range 20 {
			c, l := h.conn(-1)
			if i == 4 {
				l.onBytes = func([]byte) { // in the middle of a scan
					if !left {
						left = true
						for _, i := range leaving {
							seats[i].c.Unsubscribe("r")
						}
					}
				}
			}
			h.join(c, "r", 0)
			seats = append(seats, seat{c, l})
		}
		synctest.Wait()
		for rev := chat.Rev(1); rev <= 50; rev++ {
			h.publish("r", message("r", rev, "x"))
		}
		synctest.Wait()
		for i, s := range seats {
			got := s.l.read() // what seat 4 is written goes to its onBytes
			if want := lines("r", 1, 50); i != 4 && !slices.Contains(leaving, i) && got != want {
				t.Errorf("seat %d got %d bytes of %d", i, len(got), len(want))
			}
			s.c.Detach()
		}
	})
}
