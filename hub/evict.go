package hub

import (
	"bytes"

	"github.com/roomtide/roomtide/chat"
)

// evict takes all connections of a user out of a room of which the user is no
// member any more, and sends each the event that says so. Events of the room that
// wait to be written to them may be left out.
func (h *Hub) evict(ev *chat.Event) {
	user := ev.Member.User
	for _, c := range h.users.of(user) {
		if c.Subscribed(ev.Room) {
			c.Unsubscribe(ev.Room)
			c.SendLater(c.encoding().AppendEvent(nil, ev))
		}
	}
	if h.cfg.Evicted != nil {
		h.cfg.Evicted(user, ev.Room)
	}
}

// evictAll takes all connections out of a room that was deleted, and sends each the
// event that says so.
func (h *Hub) evictAll(r *room, ev *chat.Event) {
	var frames [maxEncodings][]byte
	users := map[chat.UserID]bool{}
	for _, c := range r.conns() {
		id := c.encodingID
		if frames[id] == nil {
			frames[id] = c.encoding().AppendEvent(nil, ev)
		}
		c.Unsubscribe(ev.Room)
		c.SendLater(bytes.Clone(frames[id]))
		if user := c.userID(); user != "" {
			users[user] = true
		}
	}
	if h.cfg.Evicted == nil {
		return
	}
	for user := range users {
		h.cfg.Evicted(user, ev.Room)
	}
}

// deliverOwn sends an event to the connections of its user that are subscribed to
// its room. It is not part of the room's log, so others never see it.
func (h *Hub) deliverOwn(ev *chat.Event) {
	for _, c := range h.users.of(ev.User) {
		if c.Subscribed(ev.Room) {
			c.SendLater(c.encoding().AppendEvent(nil, ev))
		}
	}
}
