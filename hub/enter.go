package hub

import "github.com/roomtide/roomtide/chat"

// Between Subscribe and the answer to the client the membership may end: the hub
// takes the connection out then, with the event that says so. An answer behind that
// event would make the client believe that it is in the room. So answers to joins
// are queued by Answer and Enter, which look whether the subscription is there and
// queue in one step, and the caller asks anew when it is not.

// Answer queues the frames of an answer about a room to which Subscribe was called.
// It reports false, and queues nothing, where the subscription has ended since.
func (c *Conn) Answer(id chat.RoomID, frame []byte) bool {
	s := c.sub(id)
	return s != nil && c.answer(s, frame, func() {})
}

// Enter is Answer for a user that was a member of the room when everything up to
// rev had happened. From now on the user counts as online there, and only an end of
// the membership behind rev takes the connection out. Resume follows.
func (c *Conn) Enter(id chat.RoomID, rev chat.Rev, frame []byte) bool {
	s := c.sub(id)
	if s == nil {
		return false
	}
	c.mu.Lock()
	user, counts := c.user, c.user != "" && !s.counted
	c.mu.Unlock()
	if counts {
		c.hub.cfg.Presence.Enter(id, user) // before the subscription says so: what ends it then gives that back
	}
	in := c.answer(s, frame, func() {
		s.asOf = rev
		s.counted = s.counted || counts
	})
	if !in && counts {
		c.hub.cfg.Presence.Remove(id, user, 1)
	}
	return in
}

// answer queues the frame and calls note, both under c.mu, if the subscription is
// there.
func (c *Conn) answer(s *subscription, frame []byte, note func()) (in bool) {
	queued := false
	c.mu.Lock()
	if i, ok := c.find(s.share.room.id); ok && c.subs[i] == s {
		in = true
		note()
		if len(frame) > 0 {
			queued, _ = c.push(frame)
		}
	}
	c.mu.Unlock()
	if queued {
		c.queued(true)
	}
	return in
}
