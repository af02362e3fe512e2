package hub

import (
	"sync"

	"github.com/roomtide/roomtide/chat"
)

// Deliver puts events into the log of their room, and takes the seats of those
// who are no longer members. It is what the bus calls, and waits for nobody's
// reading. The events leave with the next Kick, so that a batch over many rooms
// goes out in one round.
func (h *Hub) Deliver(id chat.RoomID, events []*chat.Event) {
	r := h.rooms.get(id)
	if r == nil || !r.live.Load() {
		return
	}
	b := batches.Get().(*batch)
	b.encode(r, r.encodings.Load(), events)
	changed := false
	r.mu.Lock()
	for r.encodings.Load()&^b.done != 0 { // somebody came with another encoding meanwhile
		more := r.encodings.Load()
		r.mu.Unlock()
		b.encode(r, more, events)
		r.mu.Lock()
	}
	for i, ev := range events {
		if r.append(ev, b, i) {
			changed = true
		}
	}
	r.trim()
	r.mu.Unlock()
	b.release()
	if changed {
		r.markDirty()
	}
	for _, ev := range events {
		if ev.Kind == chat.EventMember && !ev.Member.Role.Present() {
			h.evict(ev)
		}
	}
}

// batch is the frames of one Deliver, encoded before the room is locked.
type batch struct {
	done uint32 // bit by Encoding.ID
	mem  [maxEncodings][]byte
	ends [maxEncodings][]int
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// encode fills in the encodings of want that are not done yet.
func (b *batch) encode(r *room, want uint32, events []*chat.Event) {
	for id := range maxEncodings {
		if want&^b.done&(1<<id) == 0 {
			continue
		}
		enc := r.hub.encoding(id)
		for _, ev := range events {
			b.mem[id] = enc.AppendEvent(b.mem[id], ev)
			b.ends[id] = append(b.ends[id], len(b.mem[id]))
		}
		b.done |= 1 << id
	}
}

func (b *batch) frame(id, i int) []byte {
	start := 0
	if i > 0 {
		start = b.ends[id][i-1]
	}
	return b.mem[id][start:b.ends[id][i]]
}

// release gives the batch back for the next Deliver, unless it grew too large
// to keep.
func (b *batch) release() {
	b.done = 0
	for id := range b.mem {
		if cap(b.mem[id]) > 1<<20 {
			return
		}
		b.mem[id], b.ends[id] = b.mem[id][:0], b.ends[id][:0]
	}
	batches.Put(b)
}
