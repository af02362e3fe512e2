package hub

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/bus/bustest"
	"github.com/roomtide/roomtide/chat"
)

// overNetwork tests a hub whose batches come from a goroutine of the bus, which
// does nothing else, and which can lose them. Rooms are in the lane of the number
// in their names.
func overNetwork(t *testing.T, test func(h *harness, n *bustest.Network, gaps func(chat.GapReason) int)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := bustest.NewNetwork(1)
		reg := prometheus.NewRegistry()
		h := newHarness(t, Config{
			Bus: n.Node(0), LateAfter: time.Hour, Registerer: reg,
			Lane: func(room chat.RoomID) bus.Lane { return bus.Lane(room[1] - '0') },
		})
		defer n.Node(0).Close()
		defer h.Hub.Close()
		test(h, n, func(r chat.GapReason) int { return int(gather(t, reg)["gaps_total "+r.String()]) })
	})
}

// say publishes events of one room as the commit at position.
func (h *harness) say(position int64, room chat.RoomID, evs ...*chat.Event) {
	h.Helper()
	b := &bus.Batch{Lane: h.cfg.Lane(room), After: position - 1, Position: position, Rooms: []bus.RoomEvents{{Room: room, Events: evs}}}
	if err := h.bus.Publish(b); err != nil {
		h.Fatal(err)
	}
}

// stands publishes where lane 1 stands, without a commit.
func (h *harness) stands(position int64) {
	h.Helper()
	if err := h.bus.Publish(&bus.Batch{Lane: 1, After: position, Position: position}); err != nil {
		h.Fatal(err)
	}
}

func TestBatchesLeaveByThemselves(t *testing.T) {
	overNetwork(t, func(h *harness, n *bustest.Network, _ func(chat.GapReason) int) {
		c, l := h.conn(-1)
		h.join(c, "a1", 0)
		h.say(1, "a1", events("a1", 1, 2)...)
		h.expect(l, lines("a1", 1, 2))
		if err := h.bus.Publish(bus.Ephemeral(1, &chat.Event{Kind: chat.EventTyping, Room: "a1"})); err != nil {
			t.Fatal(err)
		}
		h.expect(l, "e a1 0\n")
		c.SetUser("ann") // put out of the room: its private frame leaves as well
		h.say(2, "a1", &chat.Event{Kind: chat.EventMember, Room: "a1", Rev: 3, Member: &chat.Member{User: "ann"}})
		h.expect(l, "e a1 3\n")
		c.Detach()
	})
}

func TestHole(t *testing.T) {
	overNetwork(t, func(h *harness, n *bustest.Network, gaps func(chat.GapReason) int) {
		c, l := h.conn(-1)
		for _, room := range []chat.RoomID{"a1", "b1", "c1", "a2"} { // c1 will be quiet
			h.join(c, room, 0)
		}
		h.say(1, "a1", events("a1", 1, 1)...)
		h.say(1, "a2", events("a2", 1, 1)...)
		synctest.Wait()
		l.read()
		n.Lose(1)
		h.say(2, "a1", events("a1", 2, 2)...)
		h.expect(l, "")
		h.say(3, "b1", events("b1", 1, 1)...)
		synctest.Wait()
		told := strings.SplitAfter(l.read(), "\n")
		slices.Sort(told)
		if got := strings.Join(told, ""); got != "g a1 1 lost\ng b1 0 lost\ng c1 0 lost\n" {
			t.Errorf("got %q", got)
		}
		if got := gaps(chat.GapLost); got != 3 || h.rooms.get("a2") == nil {
			t.Errorf("%d gaps are counted", got)
		}

		// Nothing comes until the rooms are joined again, with what the store has.
		h.say(4, "a1", events("a1", 3, 3)...)
		h.say(2, "a2", events("a2", 2, 2)...)
		h.expect(l, lines("a2", 2, 2))
		h.join(c, "a1", 3)
		h.join(c, "b1", 1)
		h.join(c, "c1", 0)
		h.say(5, "a1", events("a1", 4, 4)...)
		h.say(6, "c1", events("c1", 1, 1)...)
		h.expect(l, lines("a1", 4, 4)+lines("c1", 1, 1))
		if got := gaps(chat.GapLost); got != 3 {
			t.Errorf("%d gaps in the end", got)
		}
		c.Detach()
	})
}

// A loss that happens while a room is being joined.
func TestHoleDuringJoin(t *testing.T) {
	overNetwork(t, func(h *harness, n *bustest.Network, _ func(chat.GapReason) int) {
		hole := func(position int64) {
			t.Helper()
			n.Lose(1)
			h.say(position, "a1", events("a1", chat.Rev(position), chat.Rev(position))...)
			h.stands(position)
			synctest.Wait()
		}
		open := func(c *Conn) {
			t.Helper()
			if err := c.Subscribe("a1"); err != nil {
				t.Fatal(err)
			}
		}
		first, l1 := h.conn(-1)
		open(first)
		h.say(1, "a1", events("a1", 1, 1)...)
		hole(2)
		first.Resume("a1", 1) // asked the store before the commit that was lost
		h.expect(l1, "g a1 1 lost\n")

		second, l2 := h.conn(-1)
		third, l3 := h.conn(-1)
		open(second) // asks the store from here on, so it has the loss
		second.Resume("a1", 2)
		open(third)
		third.Resume("a1", 3) // waits for 3, which is on its way
		hole(3)
		h.expect(l2, "g a1 2 lost\n")
		h.expect(l3, "g a1 3 lost\n")

		open(second)
		open(third)
		second.Resume("a1", 3)
		third.Resume("a1", 3)
		open(first)
		h.say(4, "a1", events("a1", 4, 4)...)
		first.Resume("a1", 3)
		for _, l := range []*fakeLink{l1, l2, l3} {
			h.expect(l, lines("a1", 4, 4))
		}
		for _, c := range []*Conn{first, second, third} {
			c.Detach()
		}
	})
}

func TestWhatIsNoHole(t *testing.T) {
	overNetwork(t, func(h *harness, n *bustest.Network, gaps func(chat.GapReason) int) {
		c, l := h.conn(-1)
		h.join(c, "a1", 5)
		h.say(70, "a1", events("a1", 6, 6)...) // the first batch says where the lane stands
		h.stands(70)                           // it is idle
		if err := h.bus.Publish(bus.Ephemeral(1, &chat.Event{Kind: chat.EventTyping, Room: "a1"})); err != nil {
			t.Fatal(err)
		}
		if err := h.bus.Publish(&bus.Batch{Lane: 1, After: 70, Position: 71}); err != nil { // a commit without events
			t.Fatal(err)
		}
		h.say(72, "a1", events("a1", 7, 7)...)
		h.expect(l, lines("a1", 6, 6)+"e a1 0\n"+lines("a1", 7, 7))
		h.say(50, "a1", events("a1", 3, 3)...) // a backup: the lane, and the room, are younger
		h.expect(l, "g a1 7 lost\n")
		h.join(c, "a1", 3)
		h.say(51, "a1", events("a1", 4, 4)...)
		h.expect(l, lines("a1", 4, 4))
		if got := gaps(chat.GapLost); got != 1 {
			t.Errorf("%d gaps", got)
		}
		c.Detach()
	})
}

// A node may send what this one does not know yet. It has a place in the room's
// order, and nothing is written.
func TestUnknownKind(t *testing.T) {
	overNetwork(t, func(h *harness, n *bustest.Network, _ func(chat.GapReason) int) {
		l := newFakeLink(-1)
		c := h.Attach(l, knownEncoding{})
		h.join(c, "a1", 0)
		h.say(1, "a1", &chat.Event{Kind: 200, Room: "a1", Rev: 1})
		h.say(2, "a1", message("a1", 2, "x"))
		h.say(3, "a1", &chat.Event{Kind: 200, Room: "a1", Rev: 3})
		h.expect(l, lines("a1", 2, 2))
		h.join(c, "a1", 3)
		h.say(4, "a1", message("a1", 4, "x"))
		h.expect(l, lines("a1", 4, 4))
		c.Detach()
	})
}

// knownEncoding writes nothing of kinds that it does not know.
type knownEncoding struct{ lineEncoding }

func (e knownEncoding) AppendEvent(dst []byte, ev *chat.Event) []byte {
	if ev.Kind > chat.EventMembers {
		return dst
	}
	return e.lineEncoding.AppendEvent(dst, ev)
}
