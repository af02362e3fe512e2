package hub

import "github.com/roomtide/roomtide/chat"

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
