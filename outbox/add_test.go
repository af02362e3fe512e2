package outbox_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/store"
)

// A consumer that is added while the node runs starts where it says, keeps entries from
// being trimmed, and is forgotten when it is removed.
func TestAddAndRemove(t *testing.T) {
	w := newWorld(t, 2)
	keeper := newRecorder("keeper", outbox.FromOldest)
	keeper.fail = func(int64) error { return errors.New("later") }
	w.start(keeper.consumer())
	w.write(10)
	added := newRecorder("added", outbox.FromNow)
	k := added.consumer()
	k.StartAt = func(context.Context, int) (int64, error) { return 4, nil }
	w.must(w.outbox.Add(t.Context(), k))
	w.must(w.outbox.Add(t.Context(), k)) // changes nothing
	shard := w.store.ShardOf(room.Slot())
	first := added.wait(t, shard, 1)[0]
	if first <= 4 || first > 6 {
		t.Errorf("it starts with %d", first)
	}
	n := len(added.wait(t, shard, 1))
	w.write(3)
	w.await("it has what was written since", func() bool { return len(added.positions(shard)) > n })
	w.await("it has all", func() bool { return w.outbox.Lags("added")[shard] == 0 })
	if err := w.outbox.Drop(t.Context(), "added"); err == nil {
		t.Error("a registered consumer was dropped")
	}
	w.must(w.outbox.Remove(t.Context(), "added"))
	if _, has := w.cursors()["added"]; has || len(w.outbox.Lags("added")) != 0 {
		t.Error("it is still there")
	}
	w.write(3)
	w.must(w.outbox.Add(t.Context(), k)) // anew
	w.await("it starts over", func() bool { return w.outbox.Lags("added")[shard] == 0 })
	if got := added.positions(shard); slices.Index(got, first) == len(got)-1 || !slices.Contains(got[1:], first) {
		t.Errorf("it did not start over: %v", got)
	}
	w.stop()
	w.start(keeper.consumer()) // without it, its cursor stays: the program may come back
	if _, has := w.cursors()["added"]; !has {
		t.Error("the cursor is gone")
	}
	w.stop()
}

// together takes parts in threes, fails now and then, and does some of what it gets.
type together struct {
	mu    sync.Mutex
	calls int
	got   []int64
	sizes []int
}

func (c *together) consumer() outbox.Consumer {
	return outbox.Consumer{
		Name: "together", Quiet: true,
		Parts: func(_ context.Context, _ int, e *store.Entry) ([]outbox.Part, error) {
			return []outbox.Part{{Work: e.Position}}, nil
		},
		Together: func(_ context.Context, _ int, parts []outbox.Part) (int, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.calls++
			n := min(3, len(parts))
			c.sizes = append(c.sizes, len(parts))
			if c.calls%4 == 0 {
				n = 0
			}
			for _, p := range parts[:n] {
				c.got = append(c.got, p.Work.(int64))
			}
			if c.calls%2 == 0 {
				return n, errors.New("now and then")
			}
			return n, nil
		},
	}
}

// Parts that are done together are each done once and in order, also where only some of
// them are.
func TestTogether(t *testing.T) {
	w := newWorld(t, 1)
	c := &together{}
	w.start()
	w.write(40)
	w.must(w.outbox.Add(t.Context(), c.consumer()))
	w.await("all are done", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.got) >= 40 })
	c.mu.Lock()
	if len(c.got) != 40 || !slices.IsSorted(c.got) || slices.Max(c.sizes) < 10 {
		t.Errorf("done: %v, in calls with %v", c.got, c.sizes)
	}
	c.mu.Unlock()
	w.await("nothing is left", func() bool { return w.outbox.Lags("together")[0] == 0 })
	w.stop()
	w.start()
	if at := w.cursors()["together"]; at < 40 {
		t.Errorf("its cursor is %d", at)
	}
	w.stop()
}

// An entry that comes too soon comes again, without a failure.
func TestLater(t *testing.T) {
	w := newWorld(t, 1)
	var mu sync.Mutex
	due, got := false, 0
	w.start(outbox.Consumer{Name: "later", Trails: true, Parts: func(context.Context, int, *store.Entry) ([]outbox.Part, error) {
		mu.Lock()
		defer mu.Unlock()
		if !due {
			return nil, outbox.Later{After: time.Millisecond}
		}
		got++
		return nil, nil
	}})
	w.write(5)
	if n := w.kept(); n != 5 || w.outbox.Lag(0) != 0 {
		t.Errorf("%d entries are kept, and the lag is %d", n, w.outbox.Lag(0))
	}
	mu.Lock()
	due = true
	mu.Unlock()
	w.await("they come", func() bool { mu.Lock(); defer mu.Unlock(); return got == 5 })
	if n := w.metric("roomtide_outbox_failures_total", "later"); n != 0 {
		t.Errorf("%v failures", n)
	}
	w.stop()
}

// The cursor of a consumer that will not come back is dropped at the start.
func TestGone(t *testing.T) {
	w := newWorld(t, 1)
	w.start(newRecorder("gone-1", outbox.FromOldest).consumer(), newRecorder("other", outbox.FromOldest).consumer())
	w.write(1)
	w.stop()
	w.gone = func(_ context.Context, name string) bool { return strings.HasPrefix(name, "gone-") }
	w.start()
	if cs := w.cursors(); len(cs) != 1 || cs["other"] == 0 {
		t.Errorf("cursors: %v", cs)
	}
	w.stop()
}
