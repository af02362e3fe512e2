package hub

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/roomtide/roomtide/chat"
)

// seatState is what a seat gets.
type seatState uint8

const (
	seatOpen    seatState = iota // nothing yet; the log is kept from where it was opened
	seatWaiting                  // nothing until the room has come to rev after
	seatFlowing                  // everything from at on
	seatStopped                  // nothing until it is opened again: it was told of a gap
)

// seat is a connection's place in a room.
type seat struct {
	// Set once.
	conn *Conn
	part *part

	// Changed under part.mu. Bytes that were collected for the seat are not
	// written once its flow has changed.
	flow atomic.Uint32

	// Guarded by part.mu.
	index int32     // in part.seats, -1 when the seat was left
	state seatState // set by setState
	at    mark      // nothing before it is needed; flowing: the next byte to write
	after chat.Rev  // what Start was called with

	// Guarded by conn.mu, for connections that are tracked.
	since chat.Rev // the rev that it was started behind
	sent  chat.Rev // everything up to here was written; unknownRev before it was started
}

// part is the seats of one room that belong to one worker.
type part struct {
	// Set once.
	room   *room
	worker *worker

	// Safe for any goroutine.
	dirty  atomic.Bool                // on the worker's list
	count  atomic.Int32               // len(seats); changed under mu
	needed [maxEncodings]atomic.Int64 // by encoding: no seat needs bytes before it; changed under mu

	mu    sync.Mutex
	seats []*seat

	passing bool                // a pass over seats is under way
	again   bool                // another one has to follow: something happened behind scan
	scan    int                 // the pass goes on from here
	low     [maxEncodings]int64 // what setNeeded will be told at the end of the pass
}

// add takes a seat for c.
func (p *part) add(c *Conn) *seat {
	s := &seat{conn: c, part: p, since: unknownRev, sent: unknownRev}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.index = int32(len(p.seats))
	p.seats = append(p.seats, s)
	p.count.Add(1)
	p.room.mu.Lock()
	s.at = p.room.use(c.encodingID)
	p.need(s)
	p.room.mu.Unlock()
	return s
}

// remove gives the seat back.
func (p *part) remove(s *seat) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.flow.Add(1)
	s.setState(seatStopped)
	last := p.seats[len(p.seats)-1]
	if int(s.index) < p.scan && int(last.index) >= p.scan {
		p.again = true
		p.keep(last)
	}
	p.seats[s.index], last.index = last, s.index
	p.seats = slices.Delete(p.seats, len(p.seats)-1, len(p.seats))
	p.scan = min(p.scan, len(p.seats))
	s.index = -1
	if p.count.Add(-1) == 0 {
		p.setNeeded(&nothingNeeded)
	}
	p.room.mu.Lock()
	p.room.unuse(s.conn.encodingID)
	p.room.mu.Unlock()
}

// need keeps the log for the seat. p.mu and room.mu are held.
func (p *part) need(s *seat) {
	n := &p.needed[s.conn.encodingID]
	n.Store(min(n.Load(), s.at.off))
	p.keep(s)
}

// keep makes the end of the pass respect the seat, whether the pass has looked
// at it or not. p.mu is held.
func (p *part) keep(s *seat) {
	enc := s.conn.encodingID
	p.low[enc] = min(p.low[enc], s.at.off)
}

// setNeeded replaces what is kept for all seats. p.mu is held.
func (p *part) setNeeded(off *[maxEncodings]int64) {
	for i := range off {
		p.needed[i].Store(off[i])
	}
}

var nothingNeeded = func() (off [maxEncodings]int64) {
	for i := range off {
		off[i] = math.MaxInt64
	}
	return off
}()

// setState keeps count of who is flowing. part.mu is held.
func (s *seat) setState(to seatState) {
	if s.state != seatFlowing && to == seatFlowing {
		s.part.room.flowing.Add(1)
	} else if s.state == seatFlowing && to != seatFlowing {
		s.part.room.flowing.Add(-1)
	}
	s.state = to
}

// open stops the flow and keeps the log from its present end.
func (s *seat) open() {
	p := s.part
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.index < 0 {
		return
	}
	s.flow.Add(1)
	s.setState(seatOpen)
	p.room.mu.Lock()
	s.at = p.room.logs[s.conn.encodingID].head
	p.need(s)
	p.room.mu.Unlock()
}

// start lets an open seat flow and reports whether the worker has to look at
// it: there is something to write already.
func (s *seat) start(after chat.Rev) (pending bool, g *gap) {
	p := s.part
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.index < 0 || s.state != seatOpen {
		return false, nil
	}
	s.after = after
	s.conn.mu.Lock()
	s.conn.flows(s, after)
	s.conn.mu.Unlock()
	return s.begin()
}

// begin moves an open or waiting seat on to where it belongs now. part.mu is held.
func (s *seat) begin() (pending bool, g *gap) {
	r := s.part.room
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.logs[s.conn.encodingID]
	if r.rev == unknownRev {
		if s.at.off < l.loss.end { // what was lost may have happened behind after
			return true, s.stop(s.after, l.loss)
		}
		r.know(s.after)
	}
	if s.after > r.rev {
		s.setState(seatWaiting)
		r.expect(s.after)
		return false, nil
	}
	at, ok := l.find(s.after)
	if !ok {
		return true, s.stop(s.after, l.loss)
	}
	s.at = at
	s.part.need(s)
	s.setState(seatFlowing)
	return at.off < l.head.off, nil
}

// stop ends the flow with a gap after rev: nothing is written until the seat is
// opened again. The caller reports the gap when it holds no locks. part.mu is held.
func (s *seat) stop(rev chat.Rev, last loss) *gap {
	g := &gap{s.conn, s.part.room.id, s.gapReason(last)}
	s.setState(seatStopped)
	s.conn.queue(g.frame(rev), false)
	return g
}

// gapReason says why a seat cannot go on from where it is. part.mu is held.
func (s *seat) gapReason(last loss) chat.GapReason {
	switch {
	case s.at.off < last.end:
		return last.reason
	case s.state == seatFlowing:
		return chat.GapSlow
	}
	return chat.GapBehind
}
