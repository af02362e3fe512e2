package hub

import (
	"context"
	"slices"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// maxSmall is the size of a frame up to which it is small: an ack, an error. A larger
// one is an answer with a page in it.
func (c *Config) maxSmall() int { return c.PrivateBytes / 16 }

// Send queues one private frame: bytes ready for the wire, which the connection
// keeps. Private frames go out in order, and before room events that are delivered
// later. One large frame may wait, and PrivateBytes of small ones: a connection for
// which more is sent is closed as slow. Before it makes a large frame, the caller
// waits with AwaitSpace.
func (c *Conn) Send(frame []byte) { c.queue(frame, true) }

// SendLater is Send without waking the worker: the frame leaves with the next
// Kick or batch. The caller sees to it that one comes soon.
func (c *Conn) SendLater(frame []byte) { c.queue(frame, false) }

func (c *Conn) queue(frame []byte, wake bool) {
	c.mu.Lock()
	queued, full := c.push(frame)
	c.mu.Unlock()
	if queued {
		c.queued(wake || full)
	}
}

// push queues a private frame, or closes the connection as slow. queued must
// follow if it did one of both. c.mu is held.
func (c *Conn) push(frame []byte) (queued, full bool) {
	if c.gone || c.bye != nil {
		return false, false
	}
	n := int32(len(frame))
	large := len(frame) > c.hub.cfg.maxSmall()
	switch {
	case large && c.large > 0, !large && int(c.small+n) > c.hub.cfg.PrivateBytes:
		c.bye = &chat.ByeSlow
		return true, true
	case large:
		c.large += n
	default:
		c.small += n
	}
	c.private = append(c.private, frame)
	c.hub.waiting.add(int64(n))
	return true, false
}

func (c *Conn) queued(wake bool) {
	c.worker.addConn(c)
	if wake {
		c.worker.kick()
	}
}

// AwaitSpace waits until another large frame may be sent: none waits, and few small
// ones. So a client that asks for more than it reads waits for itself. It returns
// at once if the connection is gone; it fails with Busy after most.
func (c *Conn) AwaitSpace(ctx context.Context, most time.Duration) error {
	c.mu.Lock()
	space := c.space()
	c.mu.Unlock()
	if space {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	err := c.await(bounded, "hub.await_space", c.space)
	if err != nil && ctx.Err() == nil {
		return &chat.Error{Kind: chat.Busy, Op: "hub.await_space", Text: "read the answers before this one first", RetryAfter: 1000}
	}
	return err
}

// space reports whether a large frame may be sent. c.mu is held.
func (c *Conn) space() bool {
	return c.gone || c.bye != nil || c.large == 0 && int(c.small) <= c.hub.cfg.PrivateBytes/2
}

// Flush waits until the link has taken what was Sent, but for the end of a small
// frame, or takes nothing any more.
func (c *Conn) Flush(ctx context.Context) error {
	return c.await(ctx, "hub.flush", func() bool { return len(c.private) == 0 && c.large == 0 })
}

// await waits until ready, which is called under c.mu, now and whenever private
// frames have left.
func (c *Conn) await(ctx context.Context, op string, ready func() bool) error {
	for {
		c.mu.Lock()
		if ready() {
			c.mu.Unlock()
			return nil
		}
		if c.left == nil {
			c.left = make(chan struct{})
		}
		left := c.left
		c.mu.Unlock()
		select {
		case <-left:
		case <-ctx.Done():
			return chat.Wrap(chat.Unavailable, op, ctx.Err())
		}
	}
}

// sent forgets the oldest private frames, which the link has taken. Of the last it
// may have taken a part: cut. A large one counts until the rest is taken too, as it
// is in memory until then.
func (c *Conn) sent(frames int, cut bool) {
	if frames == 0 {
		return
	}
	const keep = 16
	c.mu.Lock()
	defer c.mu.Unlock()
	frames = min(frames, len(c.private)) // Detach empties it
	var small, large int32
	for i, f := range c.private[:frames] {
		switch n := int32(len(f)); {
		case len(f) <= c.hub.cfg.maxSmall():
			small += n
		case cut && i == frames-1:
			c.backlog.held = n
		default:
			large += n
		}
	}
	c.private = slices.Delete(c.private, 0, frames)
	if len(c.private) == 0 && cap(c.private) > keep {
		c.private = nil
	}
	c.release(small, large)
}

// release counts frames that are not in memory any more. c.mu is held.
func (c *Conn) release(small, large int32) {
	c.small -= small
	c.large -= large
	c.hub.waiting.add(-int64(small + large))
	if c.left != nil {
		close(c.left)
		c.left = nil
	}
}

// dropPrivate forgets all private frames. c.mu is held.
func (c *Conn) dropPrivate() {
	c.private = nil
	if c.backlog != nil {
		c.backlog.held = 0
	}
	c.release(c.small, c.large)
}
