package outbox_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/store"
)

// A consumer of the shard that slots leave has passed them when it has done what was before,
// and says so though it has nothing more to do.
func TestFlipIsPassed(t *testing.T) {
	w := newWorld(t, 1)
	var may atomic.Bool
	var done atomic.Int64
	w.start(outbox.Consumer{Name: "c", Consume: func(_ context.Context, _ int, e *store.Entry) error {
		if !may.Load() {
			return errors.New("not yet")
		}
		done.Store(e.Position)
		return nil
	}})
	defer w.stop()
	w.write(3)
	in, owned := w.lanes.Term(0)
	if !owned {
		t.Fatal("the lane is not this node's")
	}
	from := store.Flip{From: w.store.Shards()[0].Name()}
	from.Slots.Add(room.Slot())
	at, err := w.lanes.Flip(t.Context(), in, from)
	w.must(err)
	if at != w.lanes.Position(0) {
		t.Errorf("the mark is at %d, and the lane at %d", at, w.lanes.Position(0))
	}
	to := from
	to.Position = at
	flip := outbox.NewFlip(w.store, "c", to)
	if err := flip.Passed(t.Context()); !errors.As(err, &outbox.Later{}) {
		t.Errorf("passed while nothing is done: %v", err)
	}
	if err := outbox.NewFlip(w.store, "another", to).Passed(t.Context()); !errors.As(err, &outbox.Later{}) {
		t.Errorf("a consumer that was never there has passed: %v", err)
	}
	gone := to
	gone.From = "gone"
	if err := outbox.NewFlip(w.store, "c", gone).Passed(t.Context()); err != nil {
		t.Errorf("a shard that is no more has something left: %v", err)
	}
	may.Store(true)
	for deadline := time.Now().Add(time.Minute); ; {
		err, later := flip.Passed(t.Context()), outbox.Later{}
		if err == nil {
			break
		}
		if !errors.As(err, &later) || time.Now().After(deadline) {
			t.Fatal("not passed: ", err)
		}
		<-time.After(later.After)
	}
	if done.Load() < at || w.cursors()["c"] < at {
		t.Errorf("passed at %d, with the cursor at %d; the mark is at %d", done.Load(), w.cursors()["c"], at)
	}
}
