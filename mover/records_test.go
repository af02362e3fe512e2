package mover_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/mover"
	"github.com/roomtide/roomtide/store"
)

// readings counts how often the records are read.
type readings struct {
	store.Control
	n atomic.Int64
}

func (r *readings) Moves(ctx context.Context) ([]store.MoveRow, error) {
	defer r.n.Add(1)
	return r.Control.Moves(ctx)
}

// A node of a cluster reads the records when it is told to, and by itself while it knows of
// a move: then what another node saves is found though its notice was lost.
func TestRecordsAreReadWhileSlotsMove(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	r := &readings{}
	w.via = func() *store.Store {
		s := teststore.Open(t, w.dir, w.n, nil)
		r.Control, s.Control = s.Control, r
		return s
	}
	w.cfg.Cluster = &mover.Cluster{
		Node: "a", Tell: func() {}, ReadMap: func() error { return nil }, Behind: func(context.Context) error { return nil },
		Every: time.Microsecond, Rest: time.Hour,
	}
	w.open()
	w.eventually("the first look", func() bool { return r.n.Load() >= 3 }) // the lanes and Open have had theirs
	looks := func() {
		t.Helper()
		before := r.n.Load()
		for i := range int64(5) {
			w.mover.Look()
			w.eventually("a look that was asked for", func() bool { return r.n.Load() > before+i })
		}
		if n := r.n.Load() - before; n != 5 {
			t.Errorf("asked five times, the records were read %d times", n)
		}
	}
	looks()

	other := store.Move{ID: 1, Slots: *slotsOf("r"), From: shard(0), To: shard(1), Phase: store.MoveWaiting, Paused: true, Node: "b"}
	was := other.Encode()
	if err := r.SaveMove(t.Context(), was, nil); err != nil {
		t.Fatal(err)
	}
	w.mover.Look()
	w.eventually("the move that was told", func() bool { return len(w.mover.Moves(0)) == 1 })
	other.Rev, other.Phase = 1, store.MoveAborted
	if err := r.SaveMove(t.Context(), other.Encode(), was.Body); err != nil {
		t.Fatal(err)
	}
	w.until(store.MoveAborted)
	looks()
}

// A slot map that could not be put in force is tried again soon, also when no slots move any
// more: no later change of the records is needed for it.
func TestMapIsReadUntilItIsInForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	tries, inForce := 0, make(chan struct{})
	w.cfg.Cluster = &mover.Cluster{
		Node: "a", Tell: func() {}, Behind: func(context.Context) error { return nil },
		ReadMap: func() error {
			if tries++; tries == 3 {
				close(inForce)
			}
			if tries < 3 {
				return context.DeadlineExceeded
			}
			return nil
		},
		Every: time.Microsecond, Rest: time.Hour,
	}
	over := store.Move{ID: 1, Slots: *slotsOf("r"), From: shard(0), To: shard(1), Phase: store.MoveAborted, Node: "b"}
	w.open()
	if err := w.store.Control.SaveMove(t.Context(), over.Encode(), nil); err != nil {
		t.Fatal(err)
	}
	w.mover.Look()
	select {
	case <-inForce:
	case <-time.After(time.Minute):
		t.Error("it is not tried again")
	}
}
