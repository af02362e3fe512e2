package hub

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// room is what the hub knows of a room that somebody here has a seat in.
type room struct {
	// Set once.
	hub *Hub
	id  chat.RoomID

	// The subscription; see rooms.hold and rooms.release.
	ready  chan struct{} // closed when Subscribe has returned
	gone   chan struct{} // closed when Unsubscribe has returned
	subErr error         // set before ready is closed
	refs   int           // guarded by roomShard.mu; 0: being unsubscribed
	live   atomic.Bool   // events are taken, from when Subscribe has returned

	// Safe for any goroutine.
	encodings atomic.Uint32          // bit by Encoding.ID, of those in use; changed under mu
	flowing   atomic.Int32           // seats in state flowing
	parts     []atomic.Pointer[part] // by worker, each made when first needed

	mu     sync.Mutex
	rev    chat.Rev               // the newest durable event heard of; unknownRev at first
	logs   [maxEncodings]*roomLog // of the encodings in use
	users  [maxEncodings]int      // seats by encoding
	wanted chat.Rev               // the highest rev a seat was started at ahead of rev
	armed  bool                   // a timer waits for wanted
}

func newRoom(h *Hub, id chat.RoomID) *room {
	return &room{
		hub: h, id: id, rev: unknownRev,
		ready: make(chan struct{}), gone: make(chan struct{}),
		parts: make([]atomic.Pointer[part], len(h.workers)),
	}
}

// part returns the seats of the room that belong to worker w.
func (r *room) part(w *worker) *part {
	if p := r.parts[w.number].Load(); p != nil {
		return p
	}
	p := &part{room: r, worker: w}
	for i := range p.needed {
		p.needed[i].Store(math.MaxInt64)
	}
	if r.parts[w.number].CompareAndSwap(nil, p) {
		return p
	}
	return r.parts[w.number].Load()
}

// use counts a seat of the encoding and returns the end of its log, which is
// made for the first one. r.mu is held.
func (r *room) use(enc Encoding) mark {
	id := enc.ID()
	if r.users[id]++; r.users[id] == 1 {
		r.logs[id] = newRoomLog(r.hub.cfg.RoomLogBytes, r.rev)
		r.encodings.Store(r.encodings.Load() | 1<<id)
	}
	return r.logs[id].head
}

// unuse undoes use. r.mu is held.
func (r *room) unuse(enc Encoding) {
	id := enc.ID()
	if r.users[id]--; r.users[id] == 0 {
		r.logs[id] = nil
		r.encodings.Store(r.encodings.Load() &^ (1 << id))
	}
}

// needed is the oldest offset of a log that some seat has not passed.
func (r *room) needed(enc int) int64 {
	off := int64(math.MaxInt64)
	for i := range r.parts {
		if p := r.parts[i].Load(); p != nil {
			off = min(off, p.needed[enc].Load())
		}
	}
	return off
}

// know sets the rev of a room that had none. r.mu is held.
func (r *room) know(rev chat.Rev) {
	r.rev = rev
	for _, l := range r.logs {
		if l != nil {
			l.setRev(rev)
		}
	}
}

// append puts one encoded event into the logs and reports whether it did: what
// is in the log already is not put in twice, and a passing event is dropped
// while it flows to nobody. r.mu is held; b holds every encoding in use.
func (r *room) append(ev *chat.Event, b *batch, i int) bool {
	switch {
	case ev.Rev == 0:
		if r.flowing.Load() == 0 {
			return false
		}
	case r.rev == unknownRev:
		r.know(ev.After())
	case ev.Rev <= r.rev:
		return false
	case ev.After() > r.rev:
		r.appendGap(ev.After())
		r.hub.metrics.gaps.lost.Inc()
	}
	if ev.Rev != 0 {
		r.rev = ev.Rev
	}
	for id, l := range r.logs {
		if l != nil {
			r.put(id, l, b.frame(id, i))
		}
	}
	return true
}

// appendGap tells everybody that what came after r.rev up to rev was lost on
// the way, and goes on from rev. r.mu is held.
func (r *room) appendGap(rev chat.Rev) {
	before := r.rev
	r.rev = rev
	for id, l := range r.logs {
		if l != nil {
			r.put(id, l, r.hub.encoding(id).AppendGap(nil, r.id, before))
		}
	}
}

// put appends a frame to one log, making room in it first. r.mu is held.
func (r *room) put(id int, l *roomLog, frame []byte) {
	if l.full(len(frame)) {
		l.trim(r.needed(id))
	}
	l.append(frame, r.rev)
}

// trim lets go of what everybody has passed. r.mu is held.
func (r *room) trim() {
	for id, l := range r.logs {
		if l != nil && len(l.chunks) > 1 {
			l.trim(r.needed(id))
		}
	}
}

// markDirty puts the room on the list of every worker with seats in it.
func (r *room) markDirty() {
	for i := range r.parts {
		if p := r.parts[i].Load(); p != nil && p.count.Load() > 0 {
			p.worker.addPart(p)
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

// late runs when rev should have come. Without it a room in which nobody writes
// would not learn of a loss.
func (r *room) late(rev chat.Rev) {
	r.mu.Lock()
	lost := r.rev < rev
	if lost {
		r.appendGap(rev)
		r.hub.metrics.gaps.late.Inc()
	}
	r.armed = false
	if r.wanted > r.rev {
		r.arm()
	}
	r.mu.Unlock()
	if lost {
		r.markDirty()
		r.hub.Kick()
	}
}
