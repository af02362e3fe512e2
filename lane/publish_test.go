package lane_test

import (
	"testing"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/store"
)

// Every commit is one batch, also one without events, and each goes on where the
// one before ended, also across owners of the lane: a hole is a loss and nothing else.
func TestEveryCommitIsOneBatch(t *testing.T) {
	w := newWorld(t)
	w.join("a", "ann", "bob")
	w.join("b", "ann")
	w.must(send("a", "ann", "k", "one"))
	w.must(send("a", "ann", "k", "one")) // repeated: no commit
	w.close()
	w.open() // another owner
	w.must(send("a", "ann", "", "two"))
	if err := w.lanes.SaveCursors(t.Context(), 0, store.Cursor{Consumer: "c"}); err != nil { // a commit without events
		t.Fatal(err)
	}
	w.lanes.Close()

	w.mu.Lock()
	defer w.mu.Unlock()
	ends, events, silent := map[bus.Lane]int64{}, 0, 0
	for _, b := range w.batches {
		if b.Position != b.After+1 {
			t.Errorf("a commit from %d to %d", b.After, b.Position)
		}
		if end, known := ends[b.Lane]; known && b.After != end {
			t.Errorf("lane %d goes on at %d and ended at %d", b.Lane, b.After, end)
		}
		ends[b.Lane] = b.Position
		for _, r := range b.Rooms {
			if want := bus.Lane(w.store.ShardOf(r.Room.Slot())); b.Lane != want || len(r.Events) == 0 {
				t.Errorf("%d events of a room of lane %d in a batch of lane %d", len(r.Events), want, b.Lane)
			}
			events += len(r.Events)
		}
		if len(b.Rooms) == 0 {
			silent++
		}
	}
	if events != 5 || silent == 0 {
		t.Errorf("%d events, want 3 joins and 2 messages; %d batches without any", events, silent)
	}
	for i, d := range w.store.Shards() {
		at, err := d.Acquire(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if end, known := ends[bus.Lane(i)]; known && at.N != end {
			t.Errorf("lane %d stands at %d and published up to %d", i, at.N, end)
		}
	}
}
