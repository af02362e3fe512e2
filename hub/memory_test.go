package hub

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// page is a large frame of n bytes.
func page(n int) []byte { return []byte(strings.Repeat("p", n-1) + "\n") }

// A second page for a connection that has not taken the first whole ends it; one
// that waits for space first gets both, and small replies in between are no reason
// to go.
func TestOnePageWaits(t *testing.T) {
	inBubble(t, Config{PrivateBytes: 1600, StallTimeout: time.Hour}, func(h *harness) {
		c, l := h.conn(4000)
		c.Send(page(5000))
		c.Send([]byte("small\n"))
		synctest.Wait()
		if n := h.waiting.used.Load(); n != 5006 {
			t.Errorf("%d bytes are counted while the end of the page waits", n)
		}
		c.Send(page(200))
		synctest.Wait()
		if l.goodbye() != "slow" {
			t.Errorf("goodbye %q after the second page", l.goodbye())
		}
		c.Detach()

		c, l = h.conn(4000)
		c.Send(page(5000))
		synctest.Wait()
		if err := c.AwaitSpace(h.Context(), time.Second); chat.KindOf(err) != chat.Busy {
			t.Errorf("space while the end of a page waits: %v", err)
		}
		waited := make(chan error, 1)
		go func() { waited <- c.AwaitSpace(h.Context(), time.Minute) }()
		l.let(-1)
		if err := <-waited; err != nil {
			t.Fatal(err)
		}
		c.Send(page(5000))
		synctest.Wait()
		if n := len(l.read()); n != 10_000 || l.goodbye() != "" {
			t.Errorf("%d bytes, goodbye %q", n, l.goodbye())
		}
		c.Detach()

		c, l = h.conn(10)
		c.Send(page(5000))
		synctest.Wait()
		c.Detach() // what waited for it waits no more
		if err := c.AwaitSpace(h.Context(), time.Minute); err != nil {
			t.Error(err)
		}
		l.let(-1)
		synctest.Wait()
		if n := h.waiting.used.Load(); n != 0 {
			t.Errorf("%d bytes are counted and nothing waits", n)
		}
	})
}

// When too much waits for all connections together, those with the most waiting are
// closed as slow, and of the others none; one that reads is none of them.
func TestMostWaitingIsClosedFirst(t *testing.T) {
	inBubble(t, Config{PrivateTotal: 80_000, StallTimeout: time.Hour}, func(h *harness) {
		small, ls := h.conn(0)
		small.Send(page(1000))
		var large []*fakeLink
		for range 3 {
			c, l := h.conn(0)
			defer c.Detach()
			large = append(large, l)
			c.Send(page(25_000))
			synctest.Wait()
		}
		fast, lf := h.conn(-1)
		fast.Send(page(30_000)) // goes beyond the budget until it is read
		synctest.Wait()
		closed := 0
		for _, l := range large {
			if l.goodbye() == "slow" {
				closed++
			}
		}
		if closed == 0 || closed == len(large) || ls.goodbye() != "" || lf.goodbye() != "" {
			t.Errorf("%d of %d large ones closed, small %q, fast %q", closed, len(large), ls.goodbye(), lf.goodbye())
		}
		if n := len(lf.read()); n != 30_000 {
			t.Errorf("the fast one got %d bytes", n)
		}
		if n := h.waiting.used.Load(); n > 80_000 || n < 1000 {
			t.Errorf("%d bytes wait", n)
		}
		small.Detach()
		fast.Detach()
	})
}

// A link that takes a little now and then, and never all, is closed; one that takes
// as little because there is no more for it is not.
func TestCrawlingIsClosed(t *testing.T) {
	inBubble(t, Config{StallTimeout: 30 * time.Second}, func(h *harness) {
		crawling, lc := h.conn(100)
		steady, ls := h.conn(100)
		idle, li := h.conn(-1)
		crawling.Send(page(900_000))
		steady.Send(page(900_000))
		for range 6 {
			time.Sleep(12 * time.Second)
			lc.let(2000)
			ls.let(12 * 5000)
			idle.Send([]byte("0123456789\n"))
			synctest.Wait()
		}
		if lc.goodbye() != "slow" || ls.goodbye() != "" || li.goodbye() != "" {
			t.Errorf("crawling %q, steady %q, idle %q", lc.goodbye(), ls.goodbye(), li.goodbye())
		}
		for _, c := range []*Conn{crawling, steady, idle} {
			c.Detach()
		}
	})
}

// Slow connections in many rooms keep no more than the budget for room logs; they
// are told why, and those that keep up lose nothing.
func TestRoomLogsHaveABudget(t *testing.T) {
	const rooms, budget = 40, 100_000
	inBubble(t, Config{LogsTotal: budget, RoomLogBytes: 16 << 10, StallTimeout: time.Hour}, func(h *harness) {
		slow, ls := h.conn(1)
		fast, lf := h.conn(-1)
		id := func(i int) chat.RoomID { return chat.RoomID(string(rune('A' + i))) }
		want := ""
		for i := range rooms {
			h.join(slow, id(i), 0)
			h.join(fast, id(i), 0)
		}
		for i := range rooms {
			for rev := chat.Rev(1); rev <= 400; rev += 20 {
				h.publish(id(i), events(id(i), rev, rev+19)...)
				synctest.Wait()
			}
			want += lines(string(id(i)), 1, 400)
			if n := h.logBytes.used.Load(); n > budget {
				t.Fatalf("%d bytes in %d logs", n, i+1)
			}
		}
		h.expect(lf, want)
		ls.let(-1)
		synctest.Wait()
		got := ls.read()
		if n := strings.Count(got, " memory\n"); n < rooms/2 {
			t.Errorf("%d rooms were given up for memory", n)
		}
		if strings.Contains(got, " slow\n") {
			t.Error("a log was full before the budget was spent")
		}
		slow.Detach()
		fast.Detach()
		if n := h.logBytes.used.Load(); n != 0 {
			t.Errorf("%d bytes are counted and there is no log", n)
		}
	})
}
