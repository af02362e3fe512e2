package hub

// view is one log as it was when the room was looked at.
type view struct {
	chunks []*chunk // part of worker.chunks
	start  int64
	head   mark
	loss   loss
}

// span is a stretch of a log. Most seats of a room are at the same place, so few
// spans serve many items.
type span struct {
	room     *room
	chunks   []*chunk // part of worker.chunks
	from, to mark
	bufA     int // worker.bufs[bufA:bufB]
	bufB     int
}

func (s *span) bytes() int { return int(s.to.off - s.from.off) }

// item is a span that a connection has to get.
type item struct {
	seat *seat
	flow uint32 // of seat when it was collected
	span int32  // in worker.spans
	next int32  // the connection's next item, -1 at the end
}

// beginPass begins a pass over the worker's seats in a room that got something.
// If one is under way it makes another one follow, and reports false.
func (w *worker) beginPass(p *part) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.passing {
		p.again = true
		return false
	}
	p.passing, p.scan, p.low = true, 0, nothingNeeded
	return true
}

// collectPart collects what the next seats of a pass have not got. It reports
// whether the pass goes on: in the next round, so that rooms that got something
// meanwhile have their turn in between.
func (w *worker) collectPart(p *part) (more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := len(w.spans)
	w.look(p.room, p.room.encodings.Load())
	end := min(p.scan+w.hub.cfg.seatsARound, len(p.seats))
	for _, s := range p.seats[p.scan:end] {
		if s.state != seatStopped {
			p.keep(s)
			w.collect(s, first)
		}
	}
	if p.scan = end; end < len(p.seats) {
		return true
	}
	p.setNeeded(&p.low)
	p.scan, p.low = 0, nothingNeeded
	p.passing, p.again = p.again, false
	return p.passing
}

// collectSeat does the same for one seat.
func (w *worker) collectSeat(s *seat) {
	p := s.part
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.index >= 0 {
		w.look(p.room, 1<<s.conn.encodingID)
		w.collect(s, len(w.spans))
	}
	w.touch(s.conn) // a gap may have been queued
}

// collectConn takes a connection back that is writable again, with everything
// it missed meanwhile.
func (w *worker) collectConn(c *Conn) {
	c.stalled = false
	c.mu.Lock()
	w.seats = append(w.seats[:0], c.seats...)
	c.mu.Unlock()
	w.touch(c)
	for _, s := range w.seats {
		w.collectSeat(s)
	}
	clear(w.seats)
}

// look fills views of the wanted encodings, all of one moment.
func (w *worker) look(r *room, encodings uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, l := range r.logs {
		if l == nil || encodings&(1<<id) == 0 {
			continue
		}
		n := len(w.chunks)
		w.chunks = append(w.chunks, l.chunks...)
		w.views[id] = view{chunks: w.chunks[n:len(w.chunks):len(w.chunks)], start: l.start(), head: l.head, loss: l.loss}
	}
}

// collect gives the seat's connection what lies between the seat and the head
// of the view, and moves the seat there: write moves it back if the link takes
// less. Spans from first on are of the same room. part.mu is held.
func (w *worker) collect(s *seat, first int) {
	c := s.conn
	v := &w.views[c.encodingID]
	if s.state == seatWaiting && (s.after <= v.head.rev || s.at.off < v.loss.end) {
		if _, g := s.begin(); g != nil {
			w.gap(g)
		}
	}
	if s.state != seatFlowing || c.stalled || c.dead || s.at.off >= v.head.off {
		return
	}
	if s.at.off < v.start {
		w.gap(s.stop(s.at.rev, v.loss))
		return
	}
	w.touch(c)
	i := w.spanFor(s, v, first)
	s.at = v.head
	w.items = append(w.items, item{seat: s, flow: s.flow.Load(), span: i, next: -1})
	n := int32(len(w.items) - 1)
	if c.first < 0 {
		c.first = n
	} else {
		w.items[c.last].next = n
	}
	c.last = n
}

// spanFor returns the span from the seat to the head of the view: one of the
// newest if it fits, or a new one.
func (w *worker) spanFor(s *seat, v *view, first int) int32 {
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
		room: s.part.room, chunks: v.chunks, from: s.at, to: v.head, bufA: a, bufB: len(w.bufs),
	})
	return int32(len(w.spans) - 1)
}
