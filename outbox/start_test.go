package outbox_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testlanes"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/store"
)

// slowCursors are lanes that save cursors when the test lets them.
type slowCursors struct {
	*lane.Lanes
	came    chan struct{} // cap 1: of the first
	release chan struct{}
	once    sync.Once
}

func (s *slowCursors) SaveCursors(ctx context.Context, shard int, cursors ...store.Cursor) error {
	s.once.Do(func() { s.came <- struct{}{} })
	<-s.release
	return s.Lanes.SaveCursors(ctx, shard, cursors...)
}

// Consumers that are added and removed while a shard is being started are in it, and are not.
func TestAddAndRemoveDuringStart(t *testing.T) {
	db, lanes := testlanes.Open(t, t.TempDir(), 1)
	defer testlanes.Close(t, db, lanes)
	slow := &slowCursors{Lanes: lanes, came: make(chan struct{}, 1), release: make(chan struct{})}
	consumer := func(name string) outbox.Consumer { return newRecorder(name, outbox.FromOldest).consumer() }
	box, err := outbox.Open(t.Context(), outbox.Config{Store: db, Lanes: slow, Stopped: true, Consumers: []outbox.Consumer{consumer("first")}})
	if err != nil {
		t.Fatal(err)
	}
	if err := box.Add(t.Context(), consumer("removed")); err != nil {
		t.Fatal(err)
	}
	started := make(chan error)
	go func() { started <- box.Start(t.Context(), 0) }()
	<-slow.came
	if err := errors.Join(box.Remove(t.Context(), "removed"), box.Add(t.Context(), consumer("added"))); err != nil {
		t.Fatal(err)
	}
	close(slow.release)
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	cursors, err := db.Room(room).Cursors(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, c := range cursors {
		names[c.Consumer] = true
	}
	if got := slices.Sorted(maps.Keys(names)); !slices.Equal(got, []string{"added", "first"}) {
		t.Errorf("cursors of %v", got)
	}
	if len(box.Lags("added")) != 1 || len(box.Lags("first")) != 1 || len(box.Lags("removed")) != 0 {
		t.Errorf("lags: added %v, first %v, removed %v", box.Lags("added"), box.Lags("first"), box.Lags("removed"))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	box.Close(ctx)
}

// failingCursors are lanes that save no cursor while the test says so.
type failingCursors struct {
	*lane.Lanes
	fail atomic.Bool
}

func (f *failingCursors) SaveCursors(ctx context.Context, shard int, cursors ...store.Cursor) error {
	if f.fail.Load() {
		return chat.E(chat.Busy, "full")
	}
	return f.Lanes.SaveCursors(ctx, shard, cursors...)
}

// A consumer that could not be removed at once is removed by the next attempt, with its cursors.
func TestRemoveIsTriedAgain(t *testing.T) {
	db, lanes := testlanes.Open(t, t.TempDir(), 2)
	defer testlanes.Close(t, db, lanes)
	failing := &failingCursors{Lanes: lanes}
	box, err := outbox.Open(t.Context(), outbox.Config{Store: db, Lanes: failing})
	if err != nil {
		t.Fatal(err)
	}
	if err := box.Add(t.Context(), newRecorder("added", outbox.FromOldest).consumer()); err != nil {
		t.Fatal(err)
	}
	failing.fail.Store(true)
	if err := box.Remove(t.Context(), "added"); chat.KindOf(err) != chat.Busy {
		t.Fatalf("the first attempt: %v", err)
	}
	failing.fail.Store(false)
	if err := box.Remove(t.Context(), "added"); err != nil {
		t.Fatal(err)
	}
	for _, s := range db.Shards() {
		if cursors, err := s.Cursors(t.Context(), 0); err != nil || len(cursors) > 0 {
			t.Errorf("%s: %v, %v", s.Name(), cursors, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	box.Close(ctx)
}
