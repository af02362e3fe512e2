package hub

import (
	"testing"

	"github.com/roomtide/roomtide/chat"
)

func TestWhoIsPutOutHearsThatAndNothingAfterIt(t *testing.T) {
	var evicted []chat.UserID
	cfg := Config{Evicted: func(u chat.UserID, r chat.RoomID) { evicted = append(evicted, u) }}
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
		if len(evicted) != 1 || evicted[0] != "ann" || phone.Subscribed("r") || !bob.Subscribed("r") {
			t.Fatal(evicted, phone.Subscribed("r"), bob.Subscribed("r"))
		}
		for _, c := range []*Conn{phone, desk, bob} {
			c.Detach()
		}
	})
}

// A deleted room is empty on the node: each of its connections hears so, once, and nothing
// that is published under its name later.
func TestDeletedRoomIsEmpty(t *testing.T) {
	evicted := map[chat.UserID]int{}
	cfg := Config{Workers: 2, Evicted: func(u chat.UserID, r chat.RoomID) { evicted[u]++ }}
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
		if evicted["ann"] != 1 || evicted["bob"] != 1 || len(evicted) != 2 || h.rooms.get("r") != nil {
			t.Error(evicted, h.rooms.get("r"))
		}
		for _, c := range []*Conn{phone, desk, bob, api} {
			c.Detach()
		}
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
