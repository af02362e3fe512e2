// Package testlanes opens lanes over real databases, for the tests of what follows their
// commits. Nothing is subscribed to what these lanes publish.
package testlanes

import (
	"testing"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/store"
)

// Open opens the databases in dir, with so many shards if there are none, and their lanes.
// The caller calls Close, also to open the same directory again.
func Open(t testing.TB, dir string, shards int) (*store.Store, *lane.Lanes) {
	t.Helper()
	st := teststore.Open(t, dir, shards, nil)
	return st, Over(t, st)
}

// Over opens the lanes of a store. The caller closes both.
func Over(t testing.TB, st *store.Store) *lane.Lanes {
	t.Helper()
	lanes, err := lane.Open(t.Context(), lane.Config{Store: st, Publish: func(*bus.Batch) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	return lanes
}

// Close closes the lanes, then the databases.
func Close(t testing.TB, st *store.Store, lanes *lane.Lanes) {
	t.Helper()
	lanes.Close()
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}
