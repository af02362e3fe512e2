package hub

import (
	"net"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/netwrite"
)

// write gives a connection everything collected for it in one TryWrite: the
// rest of a frame that was cut, private frames, events.
func (w *worker) write(c *Conn) {
	out := append(w.out[:0], c.cut()...)
	c.mu.Lock()
	bye, gone := c.bye, c.gone
	out = append(out, c.private...)
	private := len(c.private)
	if c.tracked {
		w.track(c)
	}
	c.mu.Unlock()
	total := netwrite.Size(out)
	if gone {
		c.dead = true
	}
	if c.dead || c.stalled {
		w.putBack(c, c.first)
		if bye != nil {
			w.end(c, *bye)
		}
		return
	}
	out, n := w.appendItems(out, c)
	if total += n; total > 0 {
		n, err := c.link.TryWrite(out)
		w.counts.writes++
		w.counts.bytes += n
		switch {
		case err != nil:
			w.end(c, chat.ByeTimeout)
		case n == total:
			w.finish(c, private)
		default:
			w.short(c, n, private)
		}
	}
	clear(out)
	w.out = out[:0]
	if bye != nil {
		w.end(c, *bye)
	}
}

// appendItems appends what was collected for the connection and returns how many
// bytes that is. Private frames were taken before: bytes of a flow that was stopped
// before one of these was queued are recognised here and left out.
func (w *worker) appendItems(out net.Buffers, c *Conn) (_ net.Buffers, bytes int) {
	for i := c.first; i >= 0; i = w.items[i].next {
		it := &w.items[i]
		if it.flow == it.sub.flow.Load() {
			sp := &w.spans[it.span]
			out = append(out, w.bufs[sp.bufA:sp.bufB]...)
			bytes += sp.bytes()
		} else {
			it.sub = nil
		}
	}
	return out, bytes
}

// track notes what is about to be written of rooms. It happens while the private
// frames are taken, so that the delivery log has both in the order of the bytes.
// c.mu is held.
func (w *worker) track(c *Conn) {
	for i := c.first; i >= 0; i = w.items[i].next {
		if it := &w.items[i]; it.flow == it.sub.flow.Load() {
			sp := &w.spans[it.span]
			c.noteWrite(it.sub, sp.from, sp.to)
		}
	}
}

// finish is for a write that the link took whole.
func (w *worker) finish(c *Conn, private int) {
	c.sent(private, false)
	c.caughtUp()
	for i := c.first; i >= 0; i = w.items[i].next {
		if it := &w.items[i]; it.sub != nil {
			sp := &w.spans[it.span]
			w.counts.deliveries += int(sp.to.count - sp.from.count)
		}
	}
}

// short is for a write of which the link took n bytes: whole frames are done
// with, the rest of the one that was cut goes first next time, and the
// subscriptions go back to the first frame that was not begun.
func (w *worker) short(c *Conn, n, private int) {
	slow := c.fallBehind(n)
	var frames int
	if k := netwrite.Size(c.cut()); n < k {
		c.backlog.cut = netwrite.Rest(c.backlog.cut, n)
		n = 0
	} else {
		n -= k
		c.endCut()
		frames, n = c.takePrivate(private, n)
	}
	i := c.first
	if frames == private && c.cut() == nil {
		i = w.shortItems(c, n)
	}
	w.putBack(c, i)
	if slow {
		w.end(c, chat.ByeSlow)
		return
	}
	w.stall(c)
}

// takePrivate forgets frames of which n bytes were written, and remembers what
// is missing of the last. It returns how many frames were begun and how many of
// the n bytes were behind them.
func (c *Conn) takePrivate(frames, n int) (begun, left int) {
	c.mu.Lock()
	for begun < frames && begun < len(c.private) && n > 0 {
		f := c.private[begun]
		begun++
		if n < len(f) {
			c.backlog.cut = net.Buffers{f[n:]}
		}
		n -= len(f)
	}
	c.mu.Unlock()
	c.sent(begun, c.cut() != nil)
	return begun, max(n, 0)
}

// shortItems finishes the items of which n bytes were written in all and returns
// the first that was not begun.
func (w *worker) shortItems(c *Conn, n int) int32 {
	i := c.first
	for ; i >= 0 && n > 0; i = w.items[i].next {
		it := &w.items[i]
		if it.sub == nil {
			continue
		}
		sp := &w.spans[it.span]
		if n >= sp.bytes() {
			n -= sp.bytes()
			w.counts.deliveries += int(sp.to.count - sp.from.count)
			continue
		}
		off := sp.from.off + int64(n)
		sp.room.mu.Lock()
		end := frameEnd(sp.chunks, off)
		sp.room.mu.Unlock()
		c.backlog.cut = appendBytes(nil, sp.chunks, off, end.off)
		w.counts.deliveries += int(end.count - sp.from.count)
		w.putBack(c, w.items[i].next)
		it.back(end)
		return -1
	}
	return i
}

// putBack moves the subscriptions of the items from i on back to where they were.
// One that has two items ends where the earlier one began.
func (w *worker) putBack(c *Conn, i int32) {
	if i < 0 {
		return
	}
	w.putBack(c, w.items[i].next)
	if it := &w.items[i]; it.sub != nil {
		it.back(w.spans[it.span].from)
	}
}

func (it *item) back(m offset) {
	p := it.sub.share
	p.mu.Lock()
	defer p.mu.Unlock()
	if it.flow == it.sub.flow.Load() && it.sub.state == subFlowing {
		it.sub.at = m
		it.sub.conn.noteUnwritten(it.sub, m)
	}
}

// stall takes the connection out of the rounds until it is writable again. From
// here on it costs its subscriptions and what Send may queue.
func (w *worker) stall(c *Conn) {
	c.stalled = true
	h := w.hub
	h.metrics.stalled.Inc()
	h.wg.Go(func() {
		defer h.metrics.stalled.Dec()
		if err := c.link.WaitWritable(h.cfg.StallTimeout); err != nil {
			c.Close(chat.ByeSlow)
			return
		}
		w.addBack(c)
		w.kick()
	})
}

// end closes the link. Nothing is written any more.
func (w *worker) end(c *Conn, g chat.Goodbye) {
	if c.dead {
		return
	}
	c.dead = true
	c.mu.Lock()
	c.bye = &g
	c.dropPrivate()
	c.backlog = nil
	c.mu.Unlock()
	if g.Code == chat.ByeSlow.Code {
		w.hub.metrics.slow.Inc()
	}
	c.link.Close(g)
}
