// Package teststore opens real databases for the tests of what is above them.
package teststore

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqlite"
)

// Open opens the databases in dir, and makes so many shards if there are none. The
// caller closes the Store. wrap, if it is not nil, puts something before the driver
// of each shard; its calls do not overlap.
func Open(t testing.TB, dir string, shards int, wrap func(store.Driver) store.Driver) *store.Store {
	t.Helper()
	var o store.Opener = sqlite.NewDir(dir, shards, slog.New(slog.DiscardHandler))
	if wrap != nil {
		o = &wrapped{Opener: o, wrap: wrap}
	}
	st, err := store.Open(context.Background(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// wrapped is an Opener with something before each shard's driver.
type wrapped struct {
	store.Opener
	mu   sync.Mutex // held while wrap runs
	wrap func(store.Driver) store.Driver
}

func (w *wrapped) OpenShard(ctx context.Context, name string, create bool) (store.Driver, error) {
	d, err := w.Opener.OpenShard(ctx, name, create)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wrap(d), nil
}
