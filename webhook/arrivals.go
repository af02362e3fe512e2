package webhook

import (
	"slices"
	"sync"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/store"
)

// arrivals are the slots that have come to shards from others since a courier began. Events of
// their rooms have streams of their own, which begin when all those from the other shard are
// delivered: so a room keeps its order, and rooms that were in the shard before do not wait.
type arrivals struct {
	mu    sync.Mutex
	slots map[int]*store.SlotSet // guarded by mu: by shard
}

// streamsOf is the first of the streams that the events of a slot have.
func (a *arrivals) streamsOf(shard int, slot chat.Slot) uint32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.slots[shard].Has(slot) {
		return streams
	}
	return 0
}

func (a *arrivals) add(shard int, slots *store.SlotSet) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.slots == nil {
		a.slots = map[int]*store.SlotSet{}
	}
	if a.slots[shard] == nil {
		a.slots[shard] = &store.SlotSet{}
	}
	for slot := range slots.All() {
		a.slots[shard].Add(slot)
	}
}

// arrive has the events of slots that come to a shard wait for those of the other shard.
func (c *courier) arrive(shard int, e *store.Entry) (parts []outbox.Part) {
	for i := range e.Flips {
		f := &e.Flips[i]
		if f.Position == 0 { // they leave
			continue
		}
		c.arrivals.add(shard, &f.Slots)
		passed := outbox.NewFlip(c.s.cfg.Store, c.name, *f)
		for stream := range streams {
			parts = append(parts, outbox.Part{Target: streams + stream, Work: passed})
		}
	}
	return parts
}

// events are the first of parts, up to one that waits.
func events(parts []outbox.Part) []outbox.Part {
	wait := slices.IndexFunc(parts, func(p outbox.Part) bool { _, is := p.Work.(*outbox.Flip); return is })
	if wait < 0 {
		return parts
	}
	return parts[:wait]
}
