package hub

import (
	"testing"

	"github.com/roomtide/roomtide/chat"
)

// A crowd that is sent away together does not come back together.
func TestDrainSpreadsTheReturn(t *testing.T) {
	for _, n := range []int{5, 1000} {
		inBubble(t, Config{}, func(h *harness) {
			var links []*fakeLink
			for range n {
				c, l := h.conn(-1)
				defer c.Detach()
				links = append(links, l)
			}
			h.Drain(chat.ByeDraining)
			early := 0
			for _, l := range links {
				l.mu.Lock()
				wait := l.bye.Wait
				l.mu.Unlock()
				if wait > int64(n) || (wait > 0) != (n > spreadFrom) {
					t.Fatalf("one of %d is told to wait %d ms", n, wait)
				}
				if wait <= int64(n)/2 {
					early++
				}
			}
			if n > spreadFrom && (early < n/4 || early > n*3/4) {
				t.Errorf("%d of %d come in the first half", early, n)
			}
		})
	}
}
