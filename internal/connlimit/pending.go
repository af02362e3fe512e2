package connlimit

import (
	"container/list"
	"net/netip"
	"sync"
)

// Pending holds connections that have not yet said what they are here for, and so have
// no right to a place. It refuses none: when there are too many, the oldest is ended,
// which has had most time. A flood from one network ends its own connections first. It
// is safe for concurrent use.
type Pending struct {
	// Set once; 0 is no limit.
	max        int
	perNetwork int

	mu      sync.Mutex
	inUse   int
	by      map[netip.Prefix]*list.List // of *Place, oldest first; none is empty
	evicted uint64
}

// Place is the place of one connection in Pending.
type Place struct {
	pending *Pending
	from    netip.Prefix
	end     func()
	elem    *list.Element // nil: left, or ended; guarded by the mu of pending
}

// NewPending makes a Pending with max places, of which one network gets perNetwork.
func NewPending(max, perNetwork int) *Pending {
	return &Pending{max: max, perNetwork: perNetwork, by: make(map[netip.Prefix]*list.List)}
}

// Enter gives the connection a place until Leave. If there are too many it calls end of
// the one that goes: the oldest of this network, or in all the oldest of the network
// that has most. end is called without a lock and must not block.
func (p *Pending) Enter(from netip.Prefix, end func()) *Place {
	p.mu.Lock()
	var out *Place
	switch of := p.by[from]; {
	case p.perNetwork > 0 && from.IsValid() && of != nil && of.Len() >= p.perNetwork:
		out = of.Front().Value.(*Place)
	case p.max > 0 && p.inUse >= p.max:
		out = p.largest().Front().Value.(*Place)
	}
	if out != nil {
		p.remove(out)
		p.evicted++
	}
	of := p.by[from]
	if of == nil {
		of = list.New()
		p.by[from] = of
	}
	place := &Place{pending: p, from: from, end: end}
	place.elem = of.PushBack(place)
	p.inUse++
	p.mu.Unlock()
	if out != nil {
		out.end()
	}
	return place
}

// largest returns the places of the network that has most. There is one. mu is held.
func (p *Pending) largest() (l *list.List) {
	for _, of := range p.by {
		if l == nil || of.Len() > l.Len() {
			l = of
		}
	}
	return l
}

// remove takes the place away from its connection. mu is held.
func (p *Pending) remove(place *Place) {
	of := p.by[place.from]
	of.Remove(place.elem)
	place.elem = nil
	if of.Len() == 0 {
		delete(p.by, place.from)
	}
	p.inUse--
}

// Leave gives the place back. Further calls, and those for a place that was taken
// away, do nothing.
func (p *Place) Leave() {
	p.pending.mu.Lock()
	defer p.pending.mu.Unlock()
	if p.elem != nil {
		p.pending.remove(p)
	}
}

// InUse returns the number of places taken.
func (p *Pending) InUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inUse
}

// Evicted returns how many connections were ended for newer ones.
func (p *Pending) Evicted() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.evicted
}
