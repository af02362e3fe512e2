package hub

import (
	"fmt"
	"testing"

	"github.com/roomtide/roomtide/chat"
)

// inRooms is Presence: the connections of "room user". Those that came in too late are
// in between for the test.
type inRooms map[string]int

func (in inRooms) Enter(room chat.RoomID, user chat.UserID) { in[string(room)+" "+string(user)]++ }
func (in inRooms) Leave(room chat.RoomID, user chat.UserID) { in.Remove(room, user, 1) }
func (in inRooms) Remove(room chat.RoomID, user chat.UserID, conns int) {
	in[string(room)+" "+string(user)] -= conns
}

func (in inRooms) none(t *testing.T) {
	t.Helper()
	for who, n := range in {
		if n != 0 {
			t.Errorf("%d connections of %s were not given back", n, who)
		}
	}
}

// ends is the event that ends ann's membership of r.
func ends(rev chat.Rev) *chat.Event {
	return &chat.Event{Kind: chat.EventMember, Room: "r", Rev: rev, Member: &chat.Member{User: "ann"}}
}

// The membership of a user ends while a join of a connection is under way: before the
// answer the answer is not given, behind it the event follows, and a user who has come
// back meanwhile stays. In each case presence gets back what it was given.
func TestPutOutWhileJoining(t *testing.T) {
	in := inRooms{}
	inBubble(t, Config{Presence: in}, func(h *harness) {
		c, l := h.conn(-1)
		c.SetUser("ann")
		subscribe := func() {
			if err := c.Subscribe("r"); err != nil {
				t.Fatal(err)
			}
		}
		subscribe()
		h.publish("r", ends(5))
		if c.Enter("r", 4, []byte("in 4\n")) || c.Answer("r", []byte("part\n")) || c.Replay("r", 1, 4, events("r", 2, 4)) {
			t.Error("an answer behind the end of the membership")
		}
		c.Resume("r", 4)
		h.expect(l, "e r 5\n")
		in.none(t)

		subscribe()
		if !c.Enter("r", 6, []byte("in 6\n")) {
			t.Error("no answer")
		}
		h.publish("r", ends(7))
		c.Resume("r", 6)
		h.expect(l, "in 6\ne r 7\n")
		in.none(t)

		subscribe()
		if !c.Enter("r", 9, []byte("in 9\n")) { // a member again, before this node has heard of 8
			t.Error("no answer")
		}
		h.publish("r", ends(8))
		c.Resume("r", 9)
		h.publish("r", message("r", 9, "ann is back"))
		h.publish("r", message("r", 10, "hello"))
		h.expect(l, "in 9\ne r 10 hello\n")
		if in["r ann"] != 1 {
			t.Error(in)
		}
		subscribe() // joins again, on the same connection
		if !c.Enter("r", 10, nil) || in["r ann"] != 1 {
			t.Error(in)
		}
		h.publish("r", ends(11))
		h.expect(l, "e r 11\n")
		c.Unsubscribe("r")
		c.Detach()
		in.none(t)
	})
}

// joinsAgain is Presence that begins another join when the membership has ended.
type joinsAgain struct {
	inRooms
	once func()
}

func (p *joinsAgain) Remove(room chat.RoomID, user chat.UserID, conns int) {
	p.inRooms.Remove(room, user, conns)
	if do := p.once; do != nil {
		p.once = nil
		do()
	}
}

// A connection that is put out, and joins again before the event is in the room's log, is
// taken out again, since it may have read what was before the end. It is told twice only
// where that join was answered.
func TestJoinsAgainWhilePutOut(t *testing.T) {
	for _, answered := range []bool{false, true} {
		p := &joinsAgain{inRooms: inRooms{}}
		inBubble(t, Config{Presence: p}, func(h *harness) {
			c, l := h.conn(-1)
			c.SetUser("ann")
			h.join(c, "r", 4)
			p.once = func() {
				if err := c.Subscribe("r"); err != nil {
					t.Error(err)
				}
				if answered && !c.Enter("r", 4, []byte("in 4\n")) {
					t.Error("no answer")
				}
			}
			h.publish("r", ends(5))
			if c.Subscribed("r") {
				t.Error("it is in the room")
			}
			if want := "e r 5\n"; answered {
				h.expect(l, want+"in 4\n"+want)
			} else {
				h.expect(l, want)
			}
			c.Detach()
			p.none(t)
		})
	}
}

// What is left out before the event that ends a membership is not asked for: the event
// stands for all of the room.
func TestTheEndStandsForTheRoom(t *testing.T) {
	for _, ev := range []*chat.Event{ends(9), {Kind: chat.EventRoom, Room: "r", Rev: 9, Info: &chat.Room{ID: "r", Deleted: true}}} {
		inBubble(t, Config{}, func(h *harness) {
			l := newFakeLink(-1)
			c := h.Attach(l, sinceEncoding{})
			c.SetUser("ann")
			h.join(c, "r", 3)
			h.publish("r", ev)
			h.expect(l, "after 0\n")
			c.Detach()
		})
	}
}

// sinceEncoding writes what an event comes after.
type sinceEncoding struct{ lineEncoding }

func (sinceEncoding) AppendEvent(dst []byte, ev *chat.Event) []byte {
	return fmt.Appendf(dst, "after %d\n", ev.After())
}

func TestWhoIsPutOutHearsThatAndNothingAfterIt(t *testing.T) {
	in := inRooms{}
	cfg := Config{Presence: in}
	inBubble(t, cfg, func(h *harness) {
		phone, lp := h.conn(-1)
		desk, ld := h.conn(-1)
		bob, lb := h.conn(-1)
		for c, user := range map[*Conn]chat.UserID{phone: "ann", desk: "ann", bob: "bob"} {
			c.SetUser(user)
			h.join(c, "r", 0)
			h.join(c, "other", 0)
		}
		member := func(rev chat.Rev, role chat.Role) *chat.Event {
			return &chat.Event{Kind: chat.EventMember, Room: "r", Rev: rev, Member: &chat.Member{User: "ann", Role: role}}
		}
		h.publish("r", member(1, chat.RoleModerator))
		for _, l := range []*fakeLink{lp, ld, lb} {
			h.expect(l, "e r 1\n")
		}
		h.publish("r", member(2, chat.RoleBanned))
		h.publish("r", message("r", 3, "about ann"))
		h.publish("other", message("other", 1, "x"))
		h.expect(lp, "e r 2\ne other 1 x\n")
		h.expect(ld, "e r 2\ne other 1 x\n")
		h.expect(lb, "e r 2\ne r 3 about ann\ne other 1 x\n")
		if in["r ann"] != 0 || in["r bob"] != 1 || phone.Subscribed("r") || !bob.Subscribed("r") {
			t.Fatal(in, phone.Subscribed("r"), bob.Subscribed("r"))
		}
		for _, c := range []*Conn{phone, desk, bob} {
			c.Detach()
		}
		in.none(t)
	})
}

// revAtEnd notes up to which rev the log of a room is when the first connection leaves it.
type revAtEnd struct {
	inRooms
	of  *room
	rev chat.Rev
}

func (p *revAtEnd) Remove(room chat.RoomID, user chat.UserID, conns int) {
	if conns > 0 {
		p.of.mu.Lock()
		p.rev = p.of.rev
		p.of.mu.Unlock()
	}
	p.inRooms.Remove(room, user, conns)
}

// What follows the end of a membership in the same commit is not in the log before the
// user's connections are out of the room: a round that runs meanwhile would write it.
func TestWhoIsPutOutIsGoneBeforeWhatFollows(t *testing.T) {
	p := &revAtEnd{inRooms: inRooms{}}
	inBubble(t, Config{Presence: p}, func(h *harness) {
		c, l := h.conn(-1)
		c.SetUser("ann")
		h.join(c, "r", 1)
		p.of = h.rooms.get("r")
		h.publish("r", message("r", 2, "before"), ends(3), message("r", 4, "behind"))
		h.expect(l, "e r 3\n")
		if p.rev > 2 {
			t.Errorf("the log goes up to rev %d", p.rev)
		}
		c.Detach()
		p.none(t)
	})
}

// A deleted room is empty on the node: each of its connections hears so, once, and nothing
// that is published under its name later.
func TestDeletedRoomIsEmpty(t *testing.T) {
	in := inRooms{}
	cfg := Config{Workers: 2, Presence: in}
	inBubble(t, cfg, func(h *harness) {
		phone, lp := h.conn(-1)
		desk, ld := h.conn(-1)
		bob, lb := h.conn(-1)
		api, la := h.conn(-1) // of no user
		for c, user := range map[*Conn]chat.UserID{phone: "ann", desk: "ann", bob: "bob"} {
			c.SetUser(user)
		}
		for _, c := range []*Conn{phone, desk, bob, api} {
			h.join(c, "r", 0)
			h.join(c, "other", 0)
		}
		h.publish("r", &chat.Event{Kind: chat.EventRoom, Room: "r", Rev: 1, Info: &chat.Room{ID: "r", Deleted: true}})
		h.publish("r", message("r", 2, "a room of the same name"))
		h.publish("other", message("other", 1, "x"))
		for _, l := range []*fakeLink{lp, ld, lb, la} {
			h.expect(l, "e r 1\ne other 1 x\n")
		}
		if in["r ann"] != 0 || in["r bob"] != 0 || in["other ann"] != 2 || h.rooms.get("r") != nil {
			t.Error(in, h.rooms.get("r"))
		}
		for _, c := range []*Conn{phone, desk, bob, api} {
			c.Detach()
		}
		in.none(t)
	})
}

// An event for a user's own connections goes to those in its room alone.
func TestOwnEvents(t *testing.T) {
	inBubble(t, Config{}, func(h *harness) {
		phone, lp := h.conn(-1)
		desk, ld := h.conn(-1)
		bob, lb := h.conn(-1)
		for c, user := range map[*Conn]chat.UserID{phone: "ann", desk: "ann", bob: "bob"} {
			c.SetUser(user)
			h.join(c, "other", 0)
		}
		h.join(phone, "r", 0)
		h.join(bob, "r", 0)
		h.publish("r", &chat.Event{Kind: chat.EventRead, Room: "r", User: "ann", Seq: 5, Own: true})
		h.publish("r", message("r", 1, "x"))
		h.publish("other", message("other", 1, "y"))
		h.expect(lp, "e r 0\ne r 1 x\ne other 1 y\n")
		h.expect(ld, "e other 1 y\n")
		h.expect(lb, "e r 1 x\ne other 1 y\n")
		for _, c := range []*Conn{phone, desk, bob} {
			c.Detach()
		}
	})
}
