package wsapi

import (
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/websocket"
)

// All connections share one ticker. The wheel spreads them over spokes; each
// beat visits one spoke, so every connection is looked at once a turn and gets
// its ping every fifth turn, and pings of many connections do not come at once.
const (
	spokes       = 5
	turnsPerPing = 5
	beatsPerPing = spokes * turnsPerPing
)

// pingFrame is a ping without payload. It is shared and never written to.
var pingFrame = websocket.AppendHeader(nil, websocket.Ping, 0)

// pulse beats until the handler is closed.
func (h *Handler) pulse() {
	t := time.NewTicker(h.beatLength())
	defer t.Stop()
	for {
		select {
		case <-t.C:
			h.visit(h.beat.Add(1))
		case <-h.ctx.Done():
			return
		}
	}
}

func (h *Handler) beatLength() time.Duration { return max(h.cfg.Ping/beatsPerPing, time.Millisecond) }

// beats is how many beats d lasts.
func (h *Handler) beats(d time.Duration) int64 {
	return int64((d + h.beatLength() - 1) / h.beatLength())
}

// visit looks after the connections whose turn it is.
func (h *Handler) visit(now int64) {
	for _, c := range h.spoke(int(now % spokes)) {
		age, silent := now-c.born, now-c.seen.Load()
		switch {
		case !c.ready.Load() && age > h.beats(h.cfg.Hello):
			c.end(chat.ByeNoHello)
		case silent > h.beats(h.cfg.Timeout):
			c.end(chat.ByeTimeout)
		case age%beatsPerPing < spokes && age >= spokes:
			c.conn.SendLater(pingFrame)
		}
	}
	h.cfg.Hub.Kick()
}

// spoke returns the connections of a spoke.
func (h *Handler) spoke(i int) []*client {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*client, 0, len(h.wheel[i]))
	for c := range h.wheel[i] {
		all = append(all, c)
	}
	return all
}

// enter puts a connection on the wheel. One that comes while the handler is
// closing is told so.
func (h *Handler) enter(c *client) {
	h.mu.Lock()
	c.spoke = h.next
	h.next = (h.next + 1) % spokes
	h.wheel[c.spoke][c] = struct{}{}
	closed := h.closed
	h.mu.Unlock()
	if closed {
		c.conn.Close(chat.ByeDraining)
	}
}

func (h *Handler) leave(c *client) {
	h.mu.Lock()
	delete(h.wheel[c.spoke], c)
	h.mu.Unlock()
}
