package hub

import "github.com/roomtide/roomtide/chat"

// evict takes the seats in a room from all connections of a user who is no
// longer a member, and tells each the event that says so. Room events that wait
// to be written to them may be left out.
func (h *Hub) evict(ev *chat.Event) {
	user := ev.Member.User
	for _, c := range h.users.of(user) {
		if c.Joined(ev.Room) {
			c.Leave(ev.Room)
			c.SendLater(c.encoding().AppendEvent(nil, ev))
		}
	}
	if h.cfg.Evicted != nil {
		h.cfg.Evicted(user, ev.Room)
	}
}
