package mover_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/mover"
	"github.com/roomtide/roomtide/store"
)

// A move whose target is full is given up: what ends it is tried again after pauses, and not
// without one.
func TestAbortIntoAFullTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.cfg.Retry = time.Hour
	shards := w.breaking()
	room, from := w.town(20)
	target := w.empty(shards)
	var refused atomic.Int64
	full := func(*store.Changes) error {
		refused.Add(1)
		return chat.E(chat.ReadOnly, "the disk is full")
	}
	target.commit.Store(&full)
	w.start(mover.Order{Slots: slotsOf(room), To: []string{shard(1 - from)}})
	w.paused()
	abort := func() {
		t.Helper()
		if err := w.mover.Abort(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		before := refused.Load()
		abort()
		w.eventually("it is tried", func() bool { return refused.Load() > before })
	}
	for i := range 200 { // while time passes
		w.must(send(room, "ann", fmt.Sprint("passing ", i), "x"))
	}
	if n := refused.Load(); n > 30 {
		t.Errorf("%d attempts for one move and five orders", n)
	}
	target.commit.Store(nil)
	abort()
	w.until(store.MoveAborted)
	w.must(send(room, "ann", "after", "x"))
	w.whole()
}

// lateControl is a control database that does not answer when the slot map is first saved, and
// commits it when the test says.
type lateControl struct {
	store.Control
	armed atomic.Bool
	late  atomic.Pointer[store.Map]
}

func (c *lateControl) SaveMap(ctx context.Context, m *store.Map) error {
	if c.armed.CompareAndSwap(true, false) {
		next := *m
		c.late.Store(&next)
		return chat.E(chat.Unavailable, "the answer did not come")
	}
	return c.Control.SaveMap(ctx, m)
}

// A map whose saving was not answered may be committed behind the next look at it: then either
// the move has waited for it, or it fails. Nothing that was acknowledged meanwhile is lost.
func TestMapIsSavedLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.cfg.Retry = time.Hour
	w.open()
	control := &lateControl{Control: w.store.Control}
	w.store.Control = control
	room, from := w.town(50)
	control.armed.Store(true)
	w.start(mover.Order{Slots: slotsOf(room), To: []string{shard(1 - from)}})
	w.eventually("the map is not saved", func() bool { return control.late.Load() != nil && w.newest().Error != "" })
	for i := range 10 {
		w.must(send(room, "ann", fmt.Sprint("meanwhile ", i), "x"))
	}
	if err := control.Control.SaveMap(t.Context(), control.late.Load()); err != nil && chat.KindOf(err) != chat.Conflict {
		t.Fatal(err)
	}
	w.close()
	w.open() // by the map that is there
	w.until(store.MoveDone)
	if got := w.rows(shard(1-from), slotsOf(room)).Messages; len(got) != 60 {
		t.Errorf("%d messages of 60", len(got))
	}
	w.whole()
}
