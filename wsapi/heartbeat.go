package wsapi

import (
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/wheel"
	"github.com/roomtide/roomtide/websocket"
)

const (
	// ticksPerPing is how finely the wheel divides the time between pings.
	ticksPerPing = 25

	// pingSpread is over how many ticks the pings of connections are spread that
	// came at the same time.
	pingSpread = 5
)

// pingFrame is a ping without payload. It is shared and never written to.
var pingFrame = websocket.AppendHeader(nil, websocket.Ping, 0)

// newWheel makes the wheel that keeps all connections alive, and ends those that
// are not.
func newWheel(cfg *Config) *wheel.Wheel[*client] {
	tick := max(cfg.Ping/ticksPerPing, time.Millisecond)
	return wheel.New(tick, max(cfg.Ping+pingSpread*tick, cfg.Timeout, cfg.Hello),
		func(c *client) *wheel.Entry[*client] { return &c.entry }, (*client).advance)
}

// tick advances the wheel by one tick, whatever the time is: connections do not
// time out because the process was stopped. Then the hub writes the pings.
func (h *Handler) tick() {
	h.wheel.Advance(h.wheel.Now() + h.wheel.Tick())
	h.cfg.Hub.Kick()
}

// advance pings the client when that is due, and ends a connection whose client
// has been silent for too long or has not identified itself. The wheel calls it
// and is told when to call again. Its clock is a tick behind at most, so a
// deadline is over a tick later.
func (c *client) advance(now time.Duration) (next time.Duration) {
	cfg, tick := &c.h.cfg, c.h.wheel.Tick()
	helloBy, lostAt := c.born+cfg.Hello+tick, time.Duration(c.lastSeen.Load())+cfg.Timeout+tick
	ready := c.ready.Load()
	switch {
	case !ready && now >= helloBy:
		c.end(chat.ByeNoHello)
		return now + cfg.Timeout
	case now >= lostAt:
		c.end(chat.ByeTimeout)
		return now + cfg.Timeout
	case now >= c.nextPing:
		c.conn.SendLater(pingFrame)
		c.nextPing = now + cfg.Ping
	}
	if next = min(c.nextPing, lostAt); !ready {
		next = min(next, helloBy)
	}
	return next
}

// enter puts a connection on the wheel, and closes it if the handler is closing.
func (h *Handler) enter(c *client) {
	h.mu.Lock()
	spread := time.Duration(h.entered % pingSpread)
	h.entered++
	h.mu.Unlock()
	c.nextPing = c.born + h.cfg.Ping + spread*h.wheel.Tick()
	h.wheel.Put(c, min(c.nextPing, c.born+h.cfg.Hello+h.wheel.Tick()))

	h.mu.Lock() // behind Put: Close sees the connection, or this sees closed
	closed := h.closed
	h.mu.Unlock()
	if closed {
		c.conn.Close(chat.ByeDraining)
	}
}
