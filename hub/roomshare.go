package hub

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// roomShare is the subscriptions to one room of the connections of one worker.
//
// The worker scans them when the room's logs have grown, in pieces, so that other
// rooms get their turn in between. A log is kept from the lowest offset that a
// subscription still needs: retained. A scan finds it out anew as its floor, and
// sets it at its end.
type roomShare struct {
	// Set once.
	room   *room
	worker *worker

	// Safe for any goroutine.
	dirty    atomic.Bool                // on the worker's list
	count    atomic.Int32               // len(subs); changed under mu
	retained [maxEncodings]atomic.Int64 // by encoding: no subscription needs bytes before it; changed under mu

	mu       sync.Mutex
	subs     []*subscription
	scanning bool                // a scan of subs is under way
	rescan   bool                // another one has to follow: something happened before next
	next     int                 // the scan goes on from here
	floor    [maxEncodings]int64 // what retained will be at the end of the scan
}

func newRoomShare(r *room, w *worker) *roomShare {
	p := &roomShare{room: r, worker: w}
	p.setRetained(&nothingRetained)
	return p
}

// add subscribes a connection of the worker.
func (p *roomShare) add(c *Conn) *subscription {
	s := &subscription{conn: c, share: p, asOf: unknownRev, since: unknownRev, sent: unknownRev}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.index = int32(len(p.subs))
	p.subs = append(p.subs, s)
	p.count.Add(1)
	p.room.mu.Lock()
	s.at = p.room.use(c.encodingID)
	p.retain(s)
	p.room.mu.Unlock()
	return s
}

// remove undoes add.
func (p *roomShare) remove(s *subscription) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.flow.Add(1)
	s.setState(subStopped)
	last := p.subs[len(p.subs)-1]
	if int(s.index) < p.next && int(last.index) >= p.next {
		p.rescan = true
		p.lower(last)
	}
	p.subs[s.index], last.index = last, s.index
	p.subs = slices.Delete(p.subs, len(p.subs)-1, len(p.subs))
	p.next = min(p.next, len(p.subs))
	s.index = -1
	if p.count.Add(-1) == 0 {
		p.setRetained(&nothingRetained)
	}
	p.room.mu.Lock()
	p.room.unuse(s.conn.encodingID)
	p.room.mu.Unlock()
}

// retain keeps the log from where the subscription is. p.mu and room.mu are held.
func (p *roomShare) retain(s *subscription) {
	n := &p.retained[s.conn.encodingID]
	n.Store(min(n.Load(), s.at.off))
	p.lower(s)
}

// lower makes a scan that is under way respect the subscription, whether it has
// come to it or not. p.mu is held.
func (p *roomShare) lower(s *subscription) {
	id := s.conn.encodingID
	p.floor[id] = min(p.floor[id], s.at.off)
}

// setRetained replaces what is kept for all subscriptions. p.mu is held.
func (p *roomShare) setRetained(off *[maxEncodings]int64) {
	for i := range off {
		p.retained[i].Store(off[i])
	}
}

var nothingRetained = func() (off [maxEncodings]int64) {
	for i := range off {
		off[i] = math.MaxInt64
	}
	return off
}()

// beginScan begins a scan. If one is under way it makes another one follow, and
// reports false.
func (p *roomShare) beginScan() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.scanning {
		p.rescan = true
		return false
	}
	p.scanning, p.next, p.floor = true, 0, nothingRetained
	return true
}

// endScan ends a scan and reports whether another one has to follow, which has
// begun then. p.mu is held.
func (p *roomShare) endScan() (again bool) {
	p.setRetained(&p.floor)
	p.next, p.floor = 0, nothingRetained
	p.scanning, p.rescan = p.rescan, false
	return p.scanning
}
