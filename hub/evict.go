package hub

import "github.com/roomtide/roomtide/chat"

// Evict takes the seats in a room from all connections of a user who is no
// longer in it, and tells each the event that says so. Room events that wait to
// be written to them may be left out.
func (h *Hub) Evict(user chat.UserID, id chat.RoomID, ev *chat.Event) {
	for _, c := range h.users.of(user) {
		if c.Joined(id) {
			c.Leave(id)
			c.Send(c.enc.AppendEvent(nil, ev))
		}
	}
}
