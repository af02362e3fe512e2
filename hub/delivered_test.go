package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/roomtide/roomtide/chat"
)

func TestHave(t *testing.T) {
	d := Delivered{
		Rooms:  []Position{{"a", 9}, {"b", 4}, {"c", 1}},
		Ranges: []Range{{"a", 3, 5}, {"gone", 0, 7}, {"b", 2, 4}, {"a", 5, 9}},
	}
	for _, c := range []struct {
		what string
		room chat.RoomID
		rev  chat.Rev
		lost bool
		want string
	}{
		{"everything", "a", 9, true, "[{a 9} {b 4} {c 1}]"},
		{"not the end of the last step", "a", 7, true, "[{a 7} {b 4} {c 1}]"},
		{"not the last step", "b", 4, true, "[{a 5} {b 4} {c 1}]"},
		{"nor the end of the one before", "b", 3, true, "[{a 5} {b 3} {c 1}]"},
		{"only a room that was left", "gone", 7, true, "[{a 5} {b 2} {c 1}]"},
		{"the first of all", "a", 4, true, "[{a 4} {b 2} {c 1}]"},
		{"nothing", "", 0, false, "[{a 3} {b 2} {c 1}]"},
		{"nothing, only something older", "a", 2, false, "[{a 3} {b 2} {c 1}]"},
		{"nothing of what is still known", "", 0, true, "unknown"},
		{"something older than what is still known", "a", 2, true, "unknown"},
	} {
		d.Lost = c.lost
		have, ok := d.Have(c.room, c.rev)
		got := fmt.Sprint(have)
		if !ok {
			got = "unknown"
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

// TestDelivered cuts connections at any byte and compares what Delivered
// says with what arrived.
func TestDelivered(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		script := rapid.SliceOfN(rapid.IntRange(0, 999), 1, 200).Draw(rt, "script")
		var wrong string
		inBubble(t, Config{Workers: 1, RoomLogBytes: 1 << 20}, func(h *harness) { wrong = cutSomewhere(h, script) })
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// cutSomewhere plays a script: each number decides one thing. (rapid cannot be
// asked inside a bubble.)
func cutSomewhere(h *harness, script []int) (wrong string) {
	pick := func(least, most int) int { // 0 when the script is over
		if len(script) == 0 {
			return least
		}
		n := script[0]
		script = script[1:]
		return least + n%(most-least+1)
	}
	c, l := h.conn(0)
	defer c.Detach()
	c.Track()
	rooms := []chat.RoomID{"a", "b", "c"}[:pick(1, 3)]
	now, start := map[chat.RoomID]chat.Rev{}, map[chat.RoomID]chat.Rev{}
	var owed []Position
	for _, r := range rooms {
		now[r] = chat.Rev(pick(2, 5))
		start[r] = chat.Rev(pick(0, int(now[r])))
		owed = append(owed, Position{r, start[r]})
	}
	c.SetPending(owed)
	publish := func() {
		r := rooms[pick(0, len(rooms)-1)]
		n := chat.Rev(pick(1, 3))
		h.gather(r, events(r, now[r]+1, now[r]+n))
		now[r] += n
	}
	act := func() {
		switch pick(0, 3) {
		case 0:
			l.let(pick(1, 60))
			synctest.Wait()
		case 1:
			h.Kick()
			synctest.Wait()
		case 2:
			c.SendLater([]byte("private\n"))
		default:
			publish()
		}
	}
	keep := pick(0, len(rooms)) // the rest is still owed when it ends
	for _, r := range rooms[:keep] {
		if err := c.Subscribe(r); err != nil {
			return err.Error()
		}
		rev := now[r]
		c.Replay(r, start[r], rev, events(r, start[r]+1, rev))
		for range pick(0, 3) {
			act()
		}
		c.Resume(r, rev)
	}
	for len(script) > 1 {
		act()
	}
	written := l.read()
	return compare(c.Delivered(), written[:len(written)*pick(0, 999)/999], start)
}

// compare reads what arrived and asks about it.
func compare(d Delivered, arrived string, start map[chat.RoomID]chat.Rev) (wrong string) {
	want := map[chat.RoomID]chat.Rev{}
	for r, rev := range start {
		want[r] = rev
	}
	var room chat.RoomID
	var rev chat.Rev
	for line := range strings.Lines(arrived) {
		if strings.HasSuffix(line, "\n") && line != "private\n" {
			fmt.Sscanf(line, "e %s %d x\n", &room, &rev)
			want[room] = rev
		}
	}
	have, ok := d.Have(room, rev)
	if !ok {
		return fmt.Sprintf("unknown after %d ranges", len(d.Ranges))
	}
	for _, p := range have {
		if want[p.Room] != p.Rev {
			return fmt.Sprintf("%v of room %s, has %d\narrived %q\n%+v", p.Rev, p.Room, want[p.Room], arrived, d)
		}
	}
	if len(have) != len(want) {
		return fmt.Sprintf("%d rooms, want %d", len(have), len(want))
	}
	return ""
}

// TestSoleSubscription: as long as a connection sits in one room, it has no delivery log.
func TestSoleSubscription(t *testing.T) {
	inBubble(t, Config{}, func(h *harness) {
		c, _ := h.conn(-1)
		defer c.Detach()
		c.Track()
		h.join(c, "a", 3)
		h.publish("a", events("a", 4, 6)...)
		synctest.Wait()
		if c.delivery != nil {
			t.Error("it has a delivery log")
		}
		h.join(c, "b", 0)
		h.publish("b", events("b", 1, 1)...)
		synctest.Wait()
		d := c.Delivered()
		if have, ok := d.Have("a", 5); !ok || fmt.Sprint(have) != "[{a 5} {b 0}]" {
			t.Errorf("%v %v of %+v", have, ok, d)
		}
	})
}

// inTwoRooms returns a connection in a and b.
func inTwoRooms(h *harness) *Conn {
	c, _ := h.conn(-1)
	c.Track()
	h.join(c, "a", 0)
	h.join(c, "b", 0)
	return c
}

// weave writes to two rooms in turn: each event is a range.
func weave(h *harness, from, to chat.Rev) {
	for rev := from; rev <= to; rev++ {
		for _, room := range []chat.RoomID{"a", "b"} {
			h.publish(room, events(room, rev, rev)...)
			synctest.Wait()
		}
	}
}

func TestDeliveryLogIsBounded(t *testing.T) {
	inBubble(t, Config{}, func(h *harness) {
		c := inTwoRooms(h)
		defer c.Detach()
		weave(h, 1, maxRanges)
		d := c.Delivered()
		if n := len(d.Ranges); n < maxRanges/2 || n > maxRanges || !d.Lost {
			t.Errorf("%d ranges, lost: %v", n, d.Lost)
		}
		if have, ok := d.Have("b", maxRanges-10); !ok || !slices.Equal(have, []Position{{"a", maxRanges - 10}, {"b", maxRanges - 10}}) {
			t.Errorf("a peer that is a little behind: %v %v", have, ok)
		}
		if have, ok := d.Have("b", 10); ok {
			t.Errorf("a peer that is far behind: %v", have)
		}
	})
}

// What the peer has for sure is not kept.
func TestAcked(t *testing.T) {
	inBubble(t, Config{}, func(h *harness) {
		c := inTwoRooms(h)
		defer c.Detach()
		expect := func(when string, ranges int, lost bool) {
			t.Helper()
			if d := c.Delivered(); len(d.Ranges) != ranges || d.Lost != lost {
				t.Errorf("%s: %d ranges, lost %v; want %d, %v", when, len(d.Ranges), d.Lost, ranges, lost)
			}
		}
		weave(h, 1, 5)
		c.Acked()
		expect("nothing is known of these", 10, false)
		h.publish("b", events("b", 6, 6)...) // where the last step ended
		synctest.Wait()
		h.publish("a", events("a", 6, 6)...)
		synctest.Wait()
		c.Acked()
		expect("the first ones arrived", 2, false)
		d := c.Delivered()
		if have, ok := d.Have("b", 6); !ok || !slices.Equal(have, []Position{{"a", 5}, {"b", 6}}) {
			t.Errorf("%v %v", have, ok)
		}
		if have, ok := d.Have("b", 5); !ok || !slices.Equal(have, []Position{{"a", 5}, {"b", 5}}) {
			t.Errorf("of what arrived: %v %v", have, ok)
		}
		weave(h, 7, 306)
		c.Acked()
		expect("some that are nearly sure to have arrived", 600, false)
		weave(h, 307, 556)
		expect("there was only place for 88 of them", 588, true)
		c.Acked()
		expect("which arrived, and the others too", 500, false)
		weave(h, 557, 1156)
		c.Acked()
		if !c.Delivered().Lost {
			t.Error("some of those that were lost may not have arrived")
		}
		c.Acked()
		expect("everything arrived", 0, false)
	})
}

func TestFlush(t *testing.T) {
	inBubble(t, Config{}, func(h *harness) {
		c, l := h.conn(0)
		if err := c.Flush(h.Context()); err != nil {
			t.Errorf("nothing is queued: %v", err)
		}
		c.Send([]byte("abcdef"))
		short, cancel := context.WithCancel(h.Context())
		cancel()
		if err := c.Flush(short); chat.KindOf(err) != chat.Unavailable {
			t.Errorf("given up: %v", err)
		}
		done := make(chan error, 2)
		go func() { done <- c.Flush(h.Context()) }()
		l.let(-1)
		if err := <-done; err != nil {
			t.Error(err)
		}
		c.Close(chat.ByeSlow)
		synctest.Wait()
		c.Send([]byte("nobody takes it"))
		go func() { done <- c.Flush(h.Context()) }()
		c.Detach()
		if err := <-done; err != nil {
			t.Errorf("the connection ended: %v", err)
		}
	})
}
