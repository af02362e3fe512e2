package hub

// snapshot is one log as it was when the room was looked at.
type snapshot struct {
	chunks []*chunk // part of worker.chunks
	start  int64
	head   offset
	loss   loss
}

// span is a range of a log. Most subscriptions of a room are at the same offset,
// so few spans serve many items.
type span struct {
	room     *room
	chunks   []*chunk // part of worker.chunks
	from, to offset
	bufA     int // worker.bufs[bufA:bufB]
	bufB     int
}

func (s *span) bytes() int { return int(s.to.off - s.from.off) }

// item is a span that a connection has to get.
type item struct {
	sub  *subscription
	flow uint32 // of sub when it was collected
	span int32  // in worker.spans
	next int32  // the connection's next item, -1 at the end
}

// collectShare collects what the next subscriptions of a scan have not got. It
// reports whether the scan goes on: in the next round, so that rooms that got
// something meanwhile have their turn in between.
func (w *worker) collectShare(p *roomShare) (more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := len(w.spans)
	w.snapshot(p.room, p.room.encodings.Load())
	end := min(p.next+w.hub.cfg.scanSize, len(p.subs))
	for _, s := range p.subs[p.next:end] {
		if s.state != subStopped {
			p.lower(s)
			w.collect(s, first)
		}
	}
	if p.next = end; end < len(p.subs) {
		return true
	}
	return p.endScan()
}

// collectSub does the same for one subscription.
func (w *worker) collectSub(s *subscription) {
	p := s.share
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.index >= 0 {
		w.snapshot(p.room, 1<<s.conn.encodingID)
		w.collect(s, len(w.spans))
	}
	w.touch(s.conn) // a gap may have been queued
}

// collectConn takes a connection back that is writable again, with everything
// it missed meanwhile.
func (w *worker) collectConn(c *Conn) {
	c.stalled = false
	c.mu.Lock()
	w.subs = append(w.subs[:0], c.subs...)
	c.mu.Unlock()
	w.touch(c)
	for _, s := range w.subs {
		w.collectSub(s)
	}
	clear(w.subs)
}

// snapshot fills the snapshots of the wanted encodings, all of one moment.
func (w *worker) snapshot(r *room, encodings uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, l := range r.logs {
		if l == nil || encodings&(1<<id) == 0 {
			continue
		}
		n := len(w.chunks)
		w.chunks = append(w.chunks, l.chunks...)
		w.snapshots[id] = snapshot{chunks: w.chunks[n:len(w.chunks):len(w.chunks)], start: l.start(), head: l.head, loss: l.loss}
	}
}

// collect gives the connection what lies between the subscription and the head of
// the snapshot, and moves the subscription there: write moves it back if the link
// takes less. Spans from first on are of the same room. share.mu is held.
func (w *worker) collect(s *subscription, first int) {
	c := s.conn
	v := &w.snapshots[c.encodingID]
	if s.state == subWaiting && (s.after <= v.head.rev || s.at.off < v.loss.end) {
		if _, g := s.begin(); g != nil {
			w.gap(g)
		}
	}
	if s.state != subFlowing || c.stalled || c.dead || s.at.off >= v.head.off {
		return
	}
	if s.at.off < v.start {
		w.gap(s.stop(s.at.rev, v.loss))
		return
	}
	w.touch(c)
	i := w.spanFor(s, v, first)
	s.at = v.head
	w.items = append(w.items, item{sub: s, flow: s.flow.Load(), span: i, next: -1})
	n := int32(len(w.items) - 1)
	if c.first < 0 {
		c.first = n
	} else {
		w.items[c.last].next = n
	}
	c.last = n
}

// spanFor returns the span from the subscription to the head of the snapshot: one
// of the newest if it fits, or a new one.
func (w *worker) spanFor(s *subscription, v *snapshot, first int) int32 {
	const near = 8
	for i := len(w.spans) - 1; i >= max(first, len(w.spans)-near); i-- {
		p := &w.spans[i]
		if p.from.off == s.at.off && len(p.chunks) == len(v.chunks) && &p.chunks[0] == &v.chunks[0] {
			return int32(i)
		}
	}
	a := len(w.bufs)
	w.bufs = appendBytes(w.bufs, v.chunks, s.at.off, v.head.off)
	w.spans = append(w.spans, span{
		room: s.share.room, chunks: v.chunks, from: s.at, to: v.head, bufA: a, bufB: len(w.bufs),
	})
	return int32(len(w.spans) - 1)
}
