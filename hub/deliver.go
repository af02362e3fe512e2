package hub

import (
	"sync"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
)

// Deliver puts the events of a batch into the logs of their rooms, takes users
// out that are no members any more, and wakes the workers: all of the batch leaves
// in one round. It is what the bus calls (bus.Handler), and waits for no reader.
func (h *Hub) Deliver(b *bus.Batch) {
	h.cfg.Heard(b)
	if b.Position != 0 {
		if l := h.lanes.get(b.Lane); l != nil && l.advance(b) {
			h.loseLane(b.Lane)
		}
	}
	for i := range b.Rooms {
		if r := h.rooms.get(b.Rooms[i].Room); r != nil {
			h.deliver(r, b.Rooms[i].Events, b.Rooms[i].History)
		}
	}
	h.Kick()
}

// deliver is Deliver for one room. A room whose past has changed (history) is told nothing
// else: what was committed with it is read as well.
func (h *Hub) deliver(r *room, events []*chat.Event, history chat.Rev) {
	if len(events) == 1 && events[0].Own {
		h.deliverOwn(events[0])
		return
	}
	told := h.evictAny(events, nil) // a round may write what is in the log at once
	f := framePool.Get().(*frames)
	f.encode(r, r.encodings.Load(), events)
	changed := false
	r.mu.Lock()
	for r.encodings.Load()&^f.done != 0 { // another encoding came into use meanwhile
		more := r.encodings.Load()
		r.mu.Unlock()
		f.encode(r, more, events)
		r.mu.Lock()
	}
	for i, ev := range events {
		if history == 0 && r.append(ev, f, i) {
			changed = true
		}
	}
	if history > max(r.rev, 0) {
		r.lose(history, chat.GapHistory)
		changed = true
	}
	r.trim()
	r.mu.Unlock()
	f.release()
	if changed {
		r.markDirty()
	}
	h.evictAny(events, told) // those that have joined meanwhile, by what they knew before
	for _, ev := range events {
		if ev.Kind == chat.EventRoom && ev.Info.Deleted {
			h.evictAll(r, ev)
		}
	}
}

// frames are the events of one room in a batch, encoded before the room is locked.
type frames struct {
	done uint32 // bit by number of the encoding
	mem  [maxEncodings][]byte
	ends [maxEncodings][]int
}

var framePool = sync.Pool{New: func() any { return new(frames) }}

// encode fills in the encodings of want that are not done yet.
func (f *frames) encode(r *room, want uint32, events []*chat.Event) {
	for id := range maxEncodings {
		if want&^f.done&(1<<id) == 0 {
			continue
		}
		enc := r.hub.encoding(id)
		for _, ev := range events {
			f.mem[id] = enc.AppendEvent(f.mem[id], ev)
			f.ends[id] = append(f.ends[id], len(f.mem[id]))
		}
		f.done |= 1 << id
	}
}

func (f *frames) frame(id, i int) []byte {
	start := 0
	if i > 0 {
		start = f.ends[id][i-1]
	}
	return f.mem[id][start:f.ends[id][i]]
}

// release gives the memory back for the next room, unless it grew too large to
// keep.
func (f *frames) release() {
	f.done = 0
	for id := range f.mem {
		if cap(f.mem[id]) > 1<<20 {
			return
		}
		f.mem[id], f.ends[id] = f.mem[id][:0], f.ends[id][:0]
	}
	framePool.Put(f)
}
