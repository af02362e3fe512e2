package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// LeaseBesideReads holds a driver whose reads have a pool of connections to this: leases
// are renewed while slow reads have all of them. ask is such a read, which lasts until its
// context ends, and waiting tells how many the database works on.
func LeaseBesideReads(t *testing.T, d store.Driver, conns int, ask func(context.Context) error, waiting func() int) {
	t.Helper()
	const life = time.Minute
	slow, end := context.WithCancel(ctx)
	var reads sync.WaitGroup
	defer reads.Wait()
	defer end()
	for range conns {
		reads.Go(func() {
			if err := ask(slow); slow.Err() == nil {
				t.Errorf("a slow read has ended: %v", err)
			}
		})
	}
	for deadline := time.Now().Add(20 * time.Second); waiting() < conns; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d slow reads run", waiting(), conns)
		}
	}
	soon, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	_, err := d.Room(soon, "r")
	cancel()
	wantKind(t, err, chat.Unavailable) // there is no connection left
	soon, cancel = context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for range 3 {
		if l, err := d.Lease(soon, 0, "node", life); err != nil || l.Holder != "node" || l.Left <= 0 {
			t.Errorf("a lease beside slow reads: %+v, %v", l, err)
		}
	}
	must(t, d.Unlease(soon, 0, "node"))
	if n := waiting(); n < conns {
		t.Errorf("%d of %d slow reads were left", n, conns)
	}
}
