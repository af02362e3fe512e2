package hub

import (
	"bytes"
	"slices"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/planted"
)

// putOut is the end of a membership of which a connection was told.
type putOut struct {
	conn  *Conn
	event *chat.Event
}

// evictAny is evict for all events that end a membership. It returns told with what was told
// now.
func (h *Hub) evictAny(events []*chat.Event, told []putOut) []putOut {
	for _, ev := range events {
		if ev.Kind == chat.EventMember && !ev.Member.Role.Present() && !planted.KickUnheard {
			told = h.evict(ev, told)
		}
	}
	return told
}

// evict takes the connections of a user out of a room of which the user is no
// member any more, and sends each the event that says so. Connections that are known
// to be in the room at a later rev stay: the user came back before this node heard
// that the membership had ended. A connection that was told, and has begun another join
// since, is taken out again without a word: that join, which was not answered, asks anew.
func (h *Hub) evict(ev *chat.Event, told []putOut) []putOut {
	user, counted := ev.Member.User, 0
	for _, c := range h.users.of(user) {
		if s := c.take(ev.Room, ev.Rev); s != nil {
			s.end()
			if out := (putOut{c, ev}); s.asOf > 0 || !slices.Contains(told, out) {
				c.SendLater(c.encoding().AppendEvent(nil, whole(ev)))
				told = append(told, out)
			}
			if s.counted {
				counted++
			}
		}
	}
	h.cfg.Presence.Remove(ev.Room, user, counted)
	return told
}

// whole is an event that ends a client's room as one that stands for everything in
// it: events of the room that wait to be written to the connection are left out, and
// the client is not to ask for them.
func whole(ev *chat.Event) *chat.Event {
	w := *ev
	w.First = 1
	return &w
}

// evictAll takes all connections out of a room that was deleted, and sends each the
// event that says so.
func (h *Hub) evictAll(r *room, ev *chat.Event) {
	var frames [maxEncodings][]byte
	users := map[chat.UserID]int{}
	for _, c := range r.conns() {
		id := c.encodingID
		if frames[id] == nil {
			frames[id] = c.encoding().AppendEvent(nil, whole(ev))
		}
		s := c.take(ev.Room, ev.Rev)
		if s == nil {
			continue
		}
		s.end()
		c.SendLater(bytes.Clone(frames[id]))
		if s.counted {
			users[c.userID()]++
		}
	}
	for user, counted := range users {
		h.cfg.Presence.Remove(ev.Room, user, counted)
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
