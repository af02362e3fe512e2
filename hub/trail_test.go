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
	trail := Trail{
		Rooms: []Position{{"a", 9}, {"b", 4}, {"c", 1}},
		Steps: []Step{{"a", 3, 5}, {"gone", 0, 7}, {"b", 2, 4}, {"a", 5, 9}},
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
		trail.Lost = c.lost
		have, ok := trail.Have(c.room, c.rev)
		got := fmt.Sprint(have)
		if !ok {
			got = "unknown"
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

// TestTrail cuts connections at any byte and compares what the trail says they
// have with what arrived.
func TestTrail(t *testing.T) {
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
	c.Owe(owed)
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
		if err := c.Open(r); err != nil {
			return err.Error()
		}
		rev := now[r]
		c.Replay(r, start[r], rev, events(r, start[r]+1, rev))
		for range pick(0, 3) {
			act()
		}
		c.Start(r, rev)
	}
	for len(script) > 1 {
		act()
	}
	written := l.read()
	return compare(c.Trail(), written[:len(written)*pick(0, 999)/999], start)
}

// compare reads what arrived and asks the trail about it.
func compare(trail Trail, arrived string, start map[chat.RoomID]chat.Rev) (wrong string) {
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
	have, ok := trail.Have(room, rev)
	if !ok {
		return fmt.Sprintf("unknown after %d steps", len(trail.Steps))
	}
	for _, p := range have {
		if want[p.Room] != p.Rev {
			return fmt.Sprintf("%v of room %s, has %d\narrived %q\n%+v", p.Rev, p.Room, want[p.Room], arrived, trail)
		}
	}
	if len(have) != len(want) {
		return fmt.Sprintf("%d rooms, want %d", len(have), len(want))
	}
	return ""
}

// TestSoleSeat: as long as a connection sits in one room, its trail costs nothing.
func TestSoleSeat(t *testing.T) {
	inBubble(t, Config{}, func(h *harness) {
		c, _ := h.conn(-1)
		defer c.Detach()
		c.Track()
		h.join(c, "a", 3)
		h.publish("a", events("a", 4, 6)...)
		synctest.Wait()
		if c.trail != nil {
			t.Error("it has a trail")
		}
		h.join(c, "b", 0)
		h.publish("b", events("b", 1, 1)...)
		synctest.Wait()
		trail := c.Trail()
		if have, ok := trail.Have("a", 5); !ok || fmt.Sprint(have) != "[{a 5} {b 0}]" {
			t.Errorf("%v %v of %+v", have, ok, trail)
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

// weave writes to two rooms in turn: each event is a step.
func weave(h *harness, from, to chat.Rev) {
	for rev := from; rev <= to; rev++ {
		for _, room := range []chat.RoomID{"a", "b"} {
			h.publish(room, events(room, rev, rev)...)
			synctest.Wait()
		}
	}
}

func TestTrailIsBounded(t *testing.T) {
	inBubble(t, Config{}, func(h *harness) {
		c := inTwoRooms(h)
		defer c.Detach()
		weave(h, 1, maxSteps)
		trail := c.Trail()
		if n := len(trail.Steps); n < maxSteps/2 || n > maxSteps || !trail.Lost {
			t.Errorf("%d steps, lost: %v", n, trail.Lost)
		}
		if have, ok := trail.Have("b", maxSteps-10); !ok || !slices.Equal(have, []Position{{"a", maxSteps - 10}, {"b", maxSteps - 10}}) {
			t.Errorf("a peer that is a little behind: %v %v", have, ok)
		}
		if have, ok := trail.Have("b", 10); ok {
			t.Errorf("a peer that is far behind: %v", have)
		}
	})
}

// What the peer has for sure is not kept.
func TestHeard(t *testing.T) {
	inBubble(t, Config{}, func(h *harness) {
		c := inTwoRooms(h)
		defer c.Detach()
		expect := func(when string, steps int, lost bool) {
			t.Helper()
			if trail := c.Trail(); len(trail.Steps) != steps || trail.Lost != lost {
				t.Errorf("%s: %d steps, lost %v; want %d, %v", when, len(trail.Steps), trail.Lost, steps, lost)
			}
		}
		weave(h, 1, 5)
		c.Heard()
		expect("nothing is known of these", 10, false)
		h.publish("b", events("b", 6, 6)...) // where the last step ended
		synctest.Wait()
		h.publish("a", events("a", 6, 6)...)
		synctest.Wait()
		c.Heard()
		expect("the first ones arrived", 2, false)
		trail := c.Trail()
		if have, ok := trail.Have("b", 6); !ok || !slices.Equal(have, []Position{{"a", 5}, {"b", 6}}) {
			t.Errorf("%v %v", have, ok)
		}
		if have, ok := trail.Have("b", 5); !ok || !slices.Equal(have, []Position{{"a", 5}, {"b", 5}}) {
			t.Errorf("of what arrived: %v %v", have, ok)
		}
		weave(h, 7, 306)
		c.Heard()
		expect("some that are nearly sure to have arrived", 600, false)
		weave(h, 307, 556)
		expect("there was only place for 88 of them", 588, true)
		c.Heard()
		expect("which arrived, and the others too", 500, false)
		weave(h, 557, 1156)
		c.Heard()
		if !c.Trail().Lost {
			t.Error("some of those that were lost may not have arrived")
		}
		c.Heard()
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
