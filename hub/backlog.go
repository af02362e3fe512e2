package hub

import (
	"net"
	"time"
)

// backlog is what is known of a connection whose link took less than it was given.
type backlog struct {
	// Owned by the worker.
	cut   net.Buffers // rest of a frame the link took a part of; goes first
	taken int         // bytes that the link took since from
	from  time.Time   // the present stretch of time in which it lagged

	held int32 // guarded by Conn.mu: bytes of a large private frame that cut is the rest of
}

// cut is the rest of a frame that the link took a part of. The worker calls it.
func (c *Conn) cut() net.Buffers {
	if c.backlog == nil {
		return nil
	}
	return c.backlog.cut
}

// fallBehind notes that the link took n bytes and no more, and reports whether it
// has taken so little since it fell behind that the connection is to be closed. What
// the first write filled is the socket's buffer, and does not count. The worker
// calls it.
func (c *Conn) fallBehind(n int) (slow bool) {
	now := time.Now()
	if c.backlog == nil {
		c.mu.Lock()
		c.backlog = &backlog{from: now}
		c.mu.Unlock()
		return false
	}
	b := c.backlog
	b.taken += n
	lagged := now.Sub(b.from)
	if lagged < c.hub.cfg.StallTimeout {
		return false
	}
	slow = float64(b.taken) < float64(c.hub.cfg.MinRate)*lagged.Seconds()
	b.from, b.taken = now, 0
	return slow
}

// endCut is for when the link has the rest of the frame that was cut. The worker
// calls it.
func (c *Conn) endCut() {
	b := c.backlog
	b.cut = nil
	c.mu.Lock()
	c.release(0, b.held)
	b.held = 0
	c.mu.Unlock()
}

// caughtUp is for a link that has taken everything. The worker calls it.
func (c *Conn) caughtUp() {
	if c.backlog == nil {
		return
	}
	c.endCut()
	c.mu.Lock()
	c.backlog = nil
	c.mu.Unlock()
}
