package lane_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// away is a driver whose database can go away: nothing is committed, and the lane
// cannot be acquired.
type away struct {
	store.Driver
	gone     *atomic.Bool
	acquired *atomic.Int64 // attempts while it is gone
}

func (a *away) Acquire(ctx context.Context, l store.LaneID) (store.Position, error) {
	if a.gone.Load() {
		a.acquired.Add(1)
		return store.Position{}, chat.Wrap(chat.Unavailable, "test", errDisk)
	}
	return a.Driver.Acquire(ctx, l)
}

func (a *away) Commit(ctx context.Context, l store.LaneID, at store.Position, ch *store.Changes) error {
	if a.gone.Load() {
		return chat.Wrap(chat.Unavailable, "test", errDisk)
	}
	return a.Driver.Commit(ctx, l, at, ch)
}

// While a lane does not know where it stands, changes are refused at once: they do not
// wait for a database that does not answer. It comes back by itself.
func TestDatabaseIsAway(t *testing.T) {
	var gone atomic.Bool
	var acquired atomic.Int64
	w := &world{t: t, dir: t.TempDir()}
	w.break_ = func(d store.Driver) store.Driver { return &away{d, &gone, &acquired} }
	w.open()
	t.Cleanup(w.close)
	w.join("r", "ann")

	gone.Store(true)
	_, err := w.do(send("r", "ann", "k1", "one"))
	wantKind(t, err, chat.Unavailable)
	before := acquired.Load()
	const many = 100
	for range many {
		_, err = w.do(send("r", "ann", "k1", "one"))
		wantKind(t, err, chat.Unavailable)
	}
	if tried := acquired.Load() - before; tried >= many {
		t.Errorf("%d changes made %d attempts to acquire the lane", many, tried)
	}

	gone.Store(false)
	deadline := time.Now().Add(30 * time.Second)
	for {
		r, err := w.do(send("r", "ann", "k1", "one"))
		if err == nil {
			if r.Seq != 1 || r.Repeated {
				t.Errorf("%+v", r)
			}
			return
		}
		wantKind(t, err, chat.Unavailable)
		if time.Now().After(deadline) {
			t.Fatal("the lane does not come back")
		}
		time.Sleep(10 * time.Millisecond) // between two attempts
	}
}
