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
