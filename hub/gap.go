package hub

import "github.com/roomtide/roomtide/chat"

// gap is a connection whose client is told that it has missed something in a room.
type gap struct {
	conn   *Conn
	room   chat.RoomID
	reason chat.GapReason
}

// frame tells the client.
func (g *gap) frame(rev chat.Rev) []byte {
	return g.conn.encoding().AppendGap(nil, g.room, rev, g.reason)
}

// report counts the gap and tells the log. No lock is held.
func (h *Hub) report(g *gap) {
	h.metrics.gaps[g.reason].Inc()
	g.conn.mu.Lock()
	user := g.conn.user
	g.conn.mu.Unlock()
	h.log.Debug("hub: gap", "room", g.room, "user", user, "reason", g.reason.String())
}
