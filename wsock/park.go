package wsock

import "github.com/roomtide/roomtide/chat"

// A connection on which nothing arrives is parked: nobody reads it, and it has
// neither a goroutine nor a buffer. The poller wakes it when there is something
// to read, and the hub when it closes the link, because what comes after the
// goodbye has a deadline that somebody must wait for. Where a socket cannot be
// parked (TLS, systems without epoll) reading waits in a goroutine instead.

// Read is where c.ws reads from. It says EAGAIN where it does not wait.
func (c *client) Read(p []byte) (int, error) {
	if c.waits || c.ended.Load() {
		return c.ws.NetConn().Read(p)
	}
	return c.socket.Read(p)
}

// park gives the connection away. When it returns true it belongs to somebody
// else already or to nobody. When it returns false it is still the caller's, and
// from now on reading waits.
func (c *client) park() bool {
	c.parked.Store(true)
	// ended is set before the hub tries to take a parked connection, so one of
	// the two sees the other.
	if !c.ended.Load() && c.socket.Park() == nil {
		return true
	}
	if !c.take() {
		return true
	}
	c.waits = true
	return false
}

// take makes a parked connection the caller's.
func (c *client) take() bool { return c.parked.CompareAndSwap(true, false) }

// Wake lets somebody read again if the connection is parked (poll.Sleeper).
func (c *client) Wake() {
	if c.take() {
		c.h.start(c)
	}
}

// Close ends the connection (hub.Link): the peer has got its goodbye, and now
// somebody has to read until it hangs up or the time for that is over.
func (c *client) Close(g chat.Goodbye) {
	c.Link.Close(g)
	c.ended.Store(true)
	c.Wake()
}
