package hub

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/planted"
)

// room is what the hub knows of a room that a connection of this node has
// subscribed to.
type room struct {
	// Set once.
	hub *Hub
	id  chat.RoomID

	refs int // subscriptions, and those being made or ended; guarded by roomStripe.mu

	// Safe for any goroutine.
	lane      atomic.Int64                // bus.Lane
	encodings atomic.Uint32               // bit by number, of those in use; changed under mu
	flowing   atomic.Int32                // subscriptions in state flowing
	shares    []atomic.Pointer[roomShare] // by worker, each made when first needed

	mu     sync.Mutex
	rev    chat.Rev               // the newest durable event; unknownRev at first, and when events were lost
	logs   [maxEncodings]*roomLog // of the encodings in use
	users  [maxEncodings]int      // subscriptions by encoding
	wanted chat.Rev               // the highest rev that a subscription was resumed at ahead of rev
	armed  bool                   // a timer waits for wanted
}

func newRoom(h *Hub, id chat.RoomID, lane bus.Lane) *room {
	r := &room{hub: h, id: id, rev: unknownRev, shares: make([]atomic.Pointer[roomShare], len(h.workers))}
	r.lane.Store(int64(lane))
	return r
}

// share returns the subscriptions that belong to worker w.
func (r *room) share(w *worker) *roomShare {
	if p := r.shares[w.number].Load(); p != nil {
		return p
	}
	p := newRoomShare(r, w)
	if r.shares[w.number].CompareAndSwap(nil, p) {
		return p
	}
	return r.shares[w.number].Load()
}

// use counts a subscription of the encoding and returns the end of its log, which is
// made for the first one. r.mu is held.
func (r *room) use(id uint8) offset {
	if r.users[id]++; r.users[id] == 1 {
		r.logs[id] = newRoomLog(r.hub.cfg.RoomLogBytes, &r.hub.logBytes, r.rev)
		r.encodings.Store(r.encodings.Load() | 1<<id)
	}
	return r.logs[id].head
}

// unuse undoes use. r.mu is held.
func (r *room) unuse(id uint8) {
	if r.users[id]--; r.users[id] == 0 {
		r.logs[id].clear()
		r.logs[id] = nil
		r.encodings.Store(r.encodings.Load() &^ (1 << id))
	}
}

// retained is the lowest offset of a log that a subscription still needs.
func (r *room) retained(enc int) int64 {
	off := int64(math.MaxInt64)
	for i := range r.shares {
		if p := r.shares[i].Load(); p != nil {
			off = min(off, p.retained[enc].Load())
		}
	}
	return off
}

// know sets the rev of a room that had none: its logs are empty. r.mu is held.
func (r *room) know(rev chat.Rev) {
	r.rev = rev
	for _, l := range r.logs {
		if l != nil {
			l.setRev(rev)
		}
	}
}

// append puts one encoded event into the logs and reports whether it did: what
// is in the log already is not put in twice, and an ephemeral event is dropped
// while no subscription is flowing. r.mu is held; f holds every encoding in use.
func (r *room) append(ev *chat.Event, f *frames, i int) bool {
	switch {
	case ev.Rev == 0:
		if r.flowing.Load() == 0 || r.rev == unknownRev {
			return false
		}
	case r.rev == unknownRev:
		r.know(ev.After())
	case ev.Rev <= r.rev:
		return false
	case ev.After() > r.rev:
		r.lose(ev.After(), chat.GapLost)
	}
	if ev.Rev != 0 {
		r.rev = ev.Rev
	}
	if planted.EventDropped && ev.Rev%97 == 96 {
		return true
	}
	for id, l := range r.logs {
		if l != nil {
			r.put(id, l, f.frame(id, i))
		}
	}
	return true
}

// lose gives the logs up: events are missing behind what is in them. Whatever
// flows or waits below the end is told of a gap in the next round. The room goes
// on from rev or, if that is unknownRev, from the first event that comes or the
// first connection that subscribes from now on and resumes. r.mu is held.
func (r *room) lose(rev chat.Rev, reason chat.GapReason) {
	r.rev = rev
	if rev == unknownRev {
		r.wanted = 0 // those that wait for it are told now
	}
	for _, l := range r.logs {
		if l != nil {
			l.abandon(rev, reason)
		}
	}
}

// put appends a frame to one log, making room in it first. An encoding that does
// not know the kind of an event makes an empty frame. r.mu is held.
func (r *room) put(id int, l *roomLog, frame []byte) {
	if len(frame) == 0 {
		l.head.rev = r.rev
		return
	}
	if l.full(len(frame)) {
		l.trim(r.retained(id))
	}
	l.append(frame, r.rev)
}

// trim drops what no subscription needs any more. r.mu is held.
func (r *room) trim() {
	for id, l := range r.logs {
		if l != nil && len(l.chunks) > 1 {
			l.trim(r.retained(id))
		}
	}
}

// giveUp makes logs of more than most bytes smaller, needed or not.
func (r *room) giveUp(most int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, l := range r.logs {
		if l != nil && l.bytes > most {
			l.trim(r.retained(id))
			l.giveUp(most)
		}
	}
}

// markDirty puts the room on the list of every worker that has a share of it.
func (r *room) markDirty() {
	for i := range r.shares {
		if p := r.shares[i].Load(); p != nil && p.count.Load() > 0 {
			p.worker.addShare(p)
		}
	}
}

// expect notes that rev was committed, though the bus has not brought it yet.
// If it does not come in time it was lost. r.mu is held.
func (r *room) expect(rev chat.Rev) {
	r.wanted = max(r.wanted, rev)
	if !r.armed {
		r.arm()
	}
}

// arm starts the one timer of the room, for what is wanted now. r.mu is held.
func (r *room) arm() {
	r.armed = true
	rev := r.wanted
	time.AfterFunc(r.hub.cfg.LateAfter, func() { r.late(rev) })
}

// late runs when rev should have come. Without it nothing would show the loss of
// the last batch of an idle lane.
func (r *room) late(rev chat.Rev) {
	r.mu.Lock()
	lost := r.rev != unknownRev && r.rev < rev
	if lost {
		r.lose(rev, chat.GapLate)
	}
	r.armed = false
	if r.rev != unknownRev && r.wanted > r.rev { // unknown: those that waited were told
		r.arm()
	}
	r.mu.Unlock()
	if lost {
		r.markDirty()
		r.hub.Kick()
	}
}

// conns returns the connections that are subscribed.
func (r *room) conns() []*Conn {
	var all []*Conn
	for i := range r.shares {
		p := r.shares[i].Load()
		if p == nil {
			continue
		}
		p.mu.Lock()
		for _, s := range p.subs {
			all = append(all, s.conn)
		}
		p.mu.Unlock()
	}
	return all
}
