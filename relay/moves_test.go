package relay

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// The changes of a slot are done in the order in which a node has handed them on, while the
// slot goes from one lane to the other and back, and the node hears of it late.
func TestOrderWhileASlotMoves(t *testing.T) {
	s := startNATS(t, -1)
	var owners, known atomic.Int64 // version of the map: odd ones give the slot to lane 1
	b := newNode(t, dial(t, s), "b", Config{Lanes: 2, MapVersion: owners.Load})
	b.verify = func(lane int, _ chat.RoomID, byMap int64) Taken {
		if int64(lane) != owners.Load()%2 || byMap < owners.Load() {
			return OtherMap
		}
		return Took
	}
	b.serve(t, 0, true)
	b.serve(t, 1, true)
	place := func() int { return int(known.Load() % 2) }
	a := newNode(t, dial(t, s), "a", Config{
		Lanes: 2, MapVersion: known.Load, Moved: func(chat.Slot) int64 { return known.Load() }, Stale: func(v int64) { known.Store(max(known.Load(), v)) },
		Place: func(c change.Change) map[int]change.Change { return map[int]change.Change{place(): c} },
	})
	const all = 3000
	var outcomes []chan result
	for n := 1; n <= all; n++ {
		outcomes = append(outcomes, a.forward(place(), message("a", n)))
		switch n % 500 {
		case 0: // in the middle of what is on its way
			b.mu.Lock()
			owners.Add(1)
			b.mu.Unlock()
		case 250: // the sender may also hear of it before it is refused
			known.Store(owners.Load())
		}
		if n%50 == 0 {
			runtime.Gosched()
		}
	}
	for n, ch := range outcomes {
		if r, err := wait(t, ch); err != nil || r.Seq != chat.Seq(n+1) {
			t.Fatalf("%d: %+v, %v", n+1, r, err)
		}
	}
	log := b.log()
	for i, e := range log {
		if e.n != i+1 {
			t.Fatalf("%d was taken in the place of %d", e.n, i+1)
		}
	}
	if len(log) != all || owners.Load() < 6 {
		t.Errorf("%d were taken, %d moves", len(log), owners.Load())
	}
	a.router.mu.Lock()
	defer a.router.mu.Unlock()
	for slot, s := range a.router.slots {
		if s.open != 0 || s.parked != 0 {
			t.Errorf("slot %d: %+v at the end", slot, s)
		}
	}
}
