package roomcache

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

const (
	// laneID is the lane of a shard.
	laneID store.LaneID = 0
	// lagTime is how long a question waits for batches that were committed before it came. To
	// read everything from the database takes less.
	lagTime = 20 * time.Millisecond

	unknown int64 = -1
)

// lane has the rooms of one lane.
type lane struct {
	// Set once.
	db      *store.Shard
	most    int // bytes
	metrics *metrics
	turn    chan struct{} // holds a token while the position is read from the database

	mu sync.Mutex

	// Guarded by mu.
	heard int64         // position of the last batch that was applied; unknown before the first
	moved chan struct{} // closed with the next batch; nil: nothing waits for it
	late  int64         // heard as it was when a question's wait timed out: until it moves, none waits
	rooms map[chat.RoomID]*entry
	used  list.List // of *entry, the one used last in front
	bytes int

	asked    uint64 // number of reads of the position that were begun
	answered uint64 // the last of them that succeeded
	position int64  // its result
}

func newLane(db *store.Shard, most int, m *metrics) *lane {
	return &lane{db: db, most: most, metrics: m, turn: make(chan struct{}, 1), heard: unknown, late: unknown, rooms: map[chat.RoomID]*entry{}}
}

// hear is Cache.Heard.
func (l *lane) hear(b *bus.Batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.heard != b.After { // others before it were lost, or it is the first
		for _, e := range l.rooms {
			l.drop(e, dropLost)
		}
	}
	for i := range b.Rooms {
		r := &b.Rooms[i]
		if e := l.rooms[r.Room]; e != nil && !l.follow(e, r) {
			l.drop(e, dropChanged)
		}
	}
	l.evict()
	l.heard = b.Position
	if l.moved != nil {
		close(l.moved)
		l.moved = nil
	}
}

// follow applies the events of a batch to a room; false: it cannot. mu is held.
func (l *lane) follow(e *entry, r *bus.RoomEvents) bool {
	if !e.known || r.History != 0 {
		return false
	}
	follows := true
	l.change(e, func() {
		for _, ev := range r.Events {
			follows = follows && e.follow(ev)
		}
	})
	return follows
}

// prove reports whether what is kept holds everything committed before the call.
func (l *lane) prove(ctx context.Context) bool {
	l.mu.Lock()
	came, late := l.asked, l.heard == l.late
	l.mu.Unlock()
	if late {
		l.metrics.proofs[proofLate].Inc()
		return false
	}
	position, outcome := l.ask(ctx, came)
	if outcome != proofFailed && !l.await(ctx, position) {
		outcome = proofLate
	}
	l.metrics.proofs[outcome].Inc()
	return outcome == proofAsked || outcome == proofShared
}

// ask returns the position of the lane in its database, as of the call or later. came is
// l.asked at the call: the result of a read that began later is shared.
func (l *lane) ask(ctx context.Context, came uint64) (int64, proof) {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, proofFailed
	}
	defer func() { <-l.turn }()
	l.mu.Lock()
	if l.answered > came {
		defer l.mu.Unlock()
		return l.position, proofShared
	}
	l.asked++
	this := l.asked
	l.mu.Unlock()
	position, err := l.db.Position(ctx, laneID)
	if err != nil {
		return 0, proofFailed
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered, l.position = this, position
	return position, proofAsked
}

// await waits until the batches up to the position were applied, for lagTime at most.
func (l *lane) await(ctx context.Context, position int64) bool {
	var late *time.Timer
	for {
		l.mu.Lock()
		if l.heard >= position {
			l.mu.Unlock()
			return true
		}
		if l.moved == nil {
			l.moved = make(chan struct{})
		}
		moved, heard := l.moved, l.heard
		l.mu.Unlock()
		if late == nil {
			late = time.NewTimer(lagTime)
			defer late.Stop()
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		case <-late.C:
			l.mu.Lock()
			l.late = heard
			l.mu.Unlock()
			return false
		}
	}
}

// find returns a room that is kept, nil if it is not. What was kept by another slot map is
// dropped: the room may have changed meanwhile in another lane, whose batches were not
// applied to it.
func (l *lane) find(id chat.RoomID, version int64) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.rooms[id]
	if e != nil && e.version != version {
		l.drop(e, dropMoved)
		return nil
	}
	if e == nil || !e.known {
		return nil
	}
	l.used.MoveToFront(e.place)
	return e
}

// begin returns the entry for a room that is about to be read from the database, nil if it
// is not to be kept: no batch of the lane has come, or what is kept was not proven.
func (l *lane) begin(id chat.RoomID, version int64) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.rooms[id]
	switch {
	case l.heard == unknown, e != nil && (e.known || e.version != version):
		return nil
	case e == nil:
		e = &entry{id: id, version: version}
		e.place = l.used.PushFront(e)
		l.rooms[id] = e
		l.metrics.rooms.Inc()
		l.change(e, func() { e.bytes = entryBytes + len(id) })
		l.evict()
	}
	return e
}

// keep fills in the room as it was read since begin, and reports whether the entry is that
// room: if there was a batch about it meanwhile it is not.
func (l *lane) keep(e *entry, r *chat.Room) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !e.gone && !e.known {
		l.change(e, func() { e.setRoom(r) })
		l.evict()
	}
	return !e.gone && e.room.Rev == r.Rev
}

// forget drops an entry for which nothing could be read.
func (l *lane) forget(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !e.known {
		l.drop(e, dropUnread)
	}
}

// change counts the bytes that a change of an entry takes. mu is held.
func (l *lane) change(e *entry, f func()) {
	before := e.bytes
	f()
	l.resize(e.bytes - before)
}

// evict drops what has no space, from the room that was used longest ago on. mu is held.
func (l *lane) evict() {
	for l.bytes > l.most {
		l.drop(l.used.Back().Value.(*entry), dropFull)
	}
}

// resize counts bytes. mu is held.
func (l *lane) resize(bytes int) {
	l.bytes += bytes
	l.metrics.bytes.Add(float64(bytes))
}

// drop takes an entry out. mu is held.
func (l *lane) drop(e *entry, reason dropReason) {
	if e.gone {
		return
	}
	e.gone = true
	delete(l.rooms, e.id)
	l.used.Remove(e.place)
	l.resize(-e.bytes)
	l.metrics.rooms.Dec()
	l.metrics.dropped[reason].Inc()
}
