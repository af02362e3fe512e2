package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/store"
)

// Every entry of every shard is delivered once while nothing fails, in order.
func TestDeliversInOrder(t *testing.T) {
	w := newWorld(t, 3)
	a, b := newRecorder("a", outbox.FromOldest), newRecorder("b", outbox.FromOldest)
	w.start(a.consumer(), b.consumer())
	for i := range 60 {
		id := chat.RoomID(fmt.Sprint("room ", i))
		_, err := w.lanes.Do(t.Context(), &change.SetRoom{Room: id, Server: true, Create: &change.RoomSpec{}})
		w.must(err)
	}
	total := 0
	for shard, s := range w.store.Shards() {
		entries, err := s.Outbox(t.Context(), 0, 0, 1000)
		w.must(err)
		var want []int64
		for _, e := range entries {
			want = append(want, e.Position)
		}
		total += len(want)
		for _, r := range []*recorder{a, b} {
			if got := r.wait(t, shard, len(want)); !slices.Equal(got, want) {
				t.Errorf("%s got %v of shard %d, want %v", r.name, got, shard, want)
			}
		}
	}
	if total != 60 {
		t.Errorf("%d entries", total)
	}
	w.stop()
}

// A restart in good order goes on where the node has stopped, and trims.
func TestRestart(t *testing.T) {
	w := newWorld(t, 1)
	r := newRecorder("r", outbox.FromOldest)
	w.start(r.consumer())
	w.write(10)
	w.stop() // delivers what is there
	if got := r.positions(0); len(got) != 10 {
		t.Fatalf("got %v", got)
	}
	w.start(r.consumer())
	if n := w.kept(); n != 0 {
		t.Errorf("%d entries are kept that the consumer has passed", n)
	}
	w.write(5)
	r.wait(t, 0, 15)
	w.stop()
	if got := r.positions(0); len(got) != 15 || !slices.IsSorted(got) || len(slices.Compact(got)) != 15 {
		t.Errorf("got %v", got)
	}
	if lag := w.metric("roomtide_outbox_lag", "r"); lag > 1 { // saving the cursor is a commit too
		t.Errorf("the lag is %v at the end", lag)
	}
}

// What was delivered and not saved is delivered again after a crash, and nothing
// is left out.
func TestCrashDeliversAgain(t *testing.T) {
	w := newWorld(t, 1)
	r := newRecorder("r", outbox.FromOldest)
	w.start(r.consumer())
	w.write(20)
	first := r.wait(t, 0, 20)
	w.crash()
	w.start(r.consumer())
	w.write(1)
	got := r.wait(t, 0, 41)
	if !slices.Equal(got[20:40], first[:20]) || got[40] <= got[39] {
		t.Errorf("got %v after %v", got[20:], first)
	}
	w.stop()
}

// A new consumer that wants everything gets all that is kept, one that starts now
// what comes; a cursor is there before either works.
func TestNewConsumers(t *testing.T) {
	w := newWorld(t, 1)
	w.start()
	w.write(10) // without any consumer all are kept
	w.stop()
	all, now := newRecorder("all", outbox.FromOldest), newRecorder("now", outbox.FromNow)
	w.start(now.consumer(), all.consumer()) // the cursor of now alone would trim all
	before := w.lanes.Position(0)           // with the cursors
	if cs := w.cursors(); len(cs) != 2 || cs["all"] != 0 || cs["now"] != before-1 {
		t.Errorf("the cursors are %v at position %d", cs, before)
	}
	w.write(3)
	all.wait(t, 0, 13)
	if got := now.wait(t, 0, 3); len(got) != 3 || got[0] <= before {
		t.Errorf("from now after %d: %v", before, got)
	}
	w.crash() // FromNow is where it started, not where it starts again
	w.start(all.consumer(), now.consumer())
	if got := now.wait(t, 0, 6); !slices.Equal(got[:3], got[3:6]) {
		t.Errorf("got %v", got)
	}
	w.stop()
}

// A consumer that is behind keeps what it has not got, although another one is
// past it and trims.
func TestNothingIsTrimmedBeforeAllHaveIt(t *testing.T) {
	w := newWorld(t, 1)
	quick, slow := newRecorder("quick", outbox.FromOldest), newRecorder("slow", outbox.FromOldest)
	slow.hold = make(chan struct{})
	w.start(quick.consumer(), slow.consumer())
	const n = 301
	w.write(n - 1) // so many that the cursor of quick is saved
	quick.wait(t, 0, n-1)
	w.write(1) // and read after it was
	want := quick.wait(t, 0, n)
	if w.cursors()["quick"] == 0 {
		t.Error("the cursor of the quick one is not saved")
	}
	if kept := w.kept(); kept != n || w.cursors()["slow"] != 0 {
		t.Errorf("%d entries are kept, the cursors are %v", kept, w.cursors())
	}
	if lag := w.metric("roomtide_outbox_lag", "slow"); lag < n {
		t.Errorf("the lag of the slow consumer is %v", lag)
	}
	close(slow.hold)
	if got := slow.wait(t, 0, n); !slices.Equal(got, want) {
		t.Errorf("the slow one got %v, the quick one %v", got, want)
	}
	w.stop()
	w.start(quick.consumer(), slow.consumer())
	if kept := w.kept(); kept != 0 {
		t.Errorf("%d entries are kept", kept)
	}
	w.stop()
}

// A consumer that is no longer registered keeps entries until it is dropped.
func TestRemovedConsumer(t *testing.T) {
	w := newWorld(t, 2)
	stays, goes := newRecorder("stays", outbox.FromOldest), newRecorder("goes", outbox.FromOldest)
	w.start(stays.consumer(), goes.consumer())
	w.write(5)
	w.stop()
	w.start(stays.consumer())
	w.write(5)
	w.stop()
	w.start(stays.consumer())
	if kept := w.kept(); kept != 5 {
		t.Errorf("%d entries are kept, want those that the other one has not got", kept)
	}
	if err := w.outbox.Drop(t.Context(), "stays"); chat.KindOf(err) != chat.Conflict {
		t.Errorf("a registered consumer is dropped: %v", err)
	}
	w.must(w.outbox.Drop(t.Context(), "goes"))
	w.must(w.outbox.Drop(t.Context(), "goes")) // once more changes nothing
	if kept, cs := w.kept(), w.cursors(); kept != 0 || len(cs) != 1 {
		t.Errorf("%d entries are kept, the cursors are %v", kept, cs)
	}
	w.stop()
}

// A consumer that fails gets the same entry again, after pauses, and the others
// do not notice.
func TestFailures(t *testing.T) {
	w := newWorld(t, 1)
	fails, works := newRecorder("fails", outbox.FromOldest), newRecorder("works", outbox.FromOldest)
	failed := 0
	fails.fail = func(position int64) error {
		if position%4 == 0 && failed < 5 { // calls do not overlap
			failed++
			return errors.New("the other side is down")
		}
		return nil
	}
	w.start(fails.consumer(), works.consumer())
	w.write(20)
	want := works.wait(t, 0, 20)
	if got := fails.wait(t, 0, 20); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := w.metric("roomtide_outbox_failures_total", "fails"); n != 5 {
		t.Errorf("%v failures are counted", n)
	}
	w.stop()
	if failed != 5 {
		t.Errorf("%d failures", failed)
	}
}

// Close waits for a consumer no longer than it is told.
func TestCloseGivesUp(t *testing.T) {
	w := newWorld(t, 1)
	stuck := newRecorder("stuck", outbox.FromOldest)
	stuck.hold = make(chan struct{})
	w.start(stuck.consumer())
	w.write(3)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	w.outbox.Close(ctx)
	w.outbox.Close(t.Context()) // once more does nothing
	w.lanes.Close()
	w.must(w.store.Close())
	close(stuck.hold)
	w.start(stuck.consumer())
	if got := stuck.wait(t, 0, 3); len(got) != 3 {
		t.Errorf("got %v", got)
	}
	w.stop()
}

func TestNamesAreUnique(t *testing.T) {
	w := newWorld(t, 1)
	w.start()
	defer w.stop()
	nothing := func(context.Context, int, *store.Entry) error { return nil }
	for _, names := range [][]string{{""}, {"a", "b", "a"}} {
		cfg := outbox.Config{Store: w.store, Lanes: w.lanes}
		for _, n := range names {
			cfg.Consumers = append(cfg.Consumers, outbox.Consumer{Name: n, Consume: nothing})
		}
		if o, err := outbox.Open(t.Context(), cfg); chat.KindOf(err) != chat.Invalid {
			o.Close(t.Context())
			t.Errorf("consumers %q: %v", names, err)
		}
	}
}
