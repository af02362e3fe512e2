package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/store"
)

// checkLeases holds the leases of a lane against store.Writer.Lease.
func checkLeases(t *testing.T, d store.Driver) {
	ctx := t.Context()
	const life = 30 * time.Second
	lease := func(node string, life time.Duration, holder string) store.Lease {
		t.Helper()
		l := get(d.Lease(ctx, 0, node, life))(t)
		if l.Holder != holder {
			t.Fatalf("the lease is %+v, not that of %q", l, holder)
		}
		return l
	}
	if l := lease("", life, ""); l.Left > -time.Hour {
		t.Errorf("never leased: %+v", l)
	}
	if l := lease("a", life, "a"); l.Left <= 0 || l.Left > life {
		t.Errorf("taken: %+v", l)
	}
	if l := lease("b", life, "a"); l.Left <= 0 {
		t.Errorf("another node tries: %+v", l)
	}
	must(t, d.Unlease(ctx, 0, "b"))
	at := get(d.Acquire(ctx, 0))(t)
	must(t, d.Commit(ctx, 0, at, &store.Changes{})) // whichever node has the lease
	if l := lease("", life, "a"); l.Left <= 0 {
		t.Errorf("a lease that somebody else gave back: %+v", l)
	}
	if l := lease("a", 2*life, "a"); l.Left <= life {
		t.Errorf("renewed: %+v", l)
	}
	must(t, d.Unlease(ctx, 0, "a"))
	if l := lease("", life, ""); l.Left > 0 || l.Left < -time.Minute {
		t.Errorf("given back: %+v", l)
	}
	lease("a", life, "a")
	must(t, d.Unlease(ctx, 0, "a"))
	lease("b", time.Millisecond, "b")
	for deadline := time.Now().Add(20 * time.Second); ; { // it runs out by the clock of the database
		l := get(d.Lease(ctx, 0, "c", life))(t)
		if l.Holder == "c" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a lease of a millisecond: %+v", l)
		}
	}
	lease("b", life, "c")
	if next := get(d.Acquire(ctx, 0))(t); next.N != at.N+1 || next.Epoch != at.Epoch+1 {
		t.Errorf("leases have moved the lane from %+v to %+v", at, next)
	}

	var takers sync.WaitGroup
	var winners atomic.Int64
	for i := range 8 {
		takers.Go(func() {
			node := fmt.Sprint("node", i)
			if l, err := d.Lease(ctx, 1, node, life); err != nil || l.Holder == "" {
				t.Errorf("%+v %v", l, err)
			} else if l.Holder == node {
				winners.Add(1)
			}
		})
	}
	takers.Wait()
	if winners.Load() != 1 {
		t.Errorf("%d of 8 nodes have one lease", winners.Load())
	}
}
