package lane

import (
	"context"
	"time"

	"github.com/roomtide/roomtide/store"
)

// How the lanes are shared out: each node asks for as many as its share is, and leaves what
// is beyond it.

// ask asks for the lease if this node should have it, and otherwise reads it: beyond its
// share a node takes only a lane that has been free for some time. A lease that runs out
// while its database answers tells that its holder has ended, and the shares are larger then.
func (t *tenure) ask(ctx context.Context) (store.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, t.life()/renewals)
	defer cancel()
	node := t.cfg.Cluster.Node
	if t.running || t.joins() || !t.isSecond() && t.reserve() {
		t.count(true)
		return t.db.Lease(ctx, 0, node, t.life())
	}
	free := t.life() / attempts
	if t.isSecond() {
		free = t.life()
	}
	lease, err := t.db.Lease(ctx, 0, "", t.life())
	if err != nil || lease.Left > 0 {
		return lease, err
	}
	if lease.Holder != "" && lease.Holder != node && time.Since(t.seen) < t.life() {
		t.cfg.Cluster.Gone(lease.Holder)
	}
	if lease.Left > -free && (t.isSecond() || !t.reserve()) {
		t.passed.Store(true)
		return lease, nil
	}
	return t.db.Lease(ctx, 0, node, t.life())
}

// share is how many lanes each node has if they are spread evenly.
func (t *tenure) share() int64 {
	nodes := max(1, t.cfg.Cluster.Nodes())
	return int64((len(t.all.all) + nodes - 1) / nodes)
}

// reserve counts the lane as held if this node has fewer than its share.
func (t *tenure) reserve() bool {
	for !t.counted {
		n := t.all.held.Load()
		if n >= t.share() {
			return false
		}
		t.counted = t.all.held.CompareAndSwap(n, n+1)
	}
	return true
}

// tooMany reports whether this lane is one too many for this node, and then counts it as
// held no more.
func (t *tenure) tooMany() bool {
	n := t.all.held.Load()
	if t.isPaired() || n <= t.share() || !t.all.held.CompareAndSwap(n, n-1) {
		return false
	}
	t.counted = false
	return true
}

// count counts the lane as held, or not.
func (t *tenure) count(held bool) {
	if held == t.counted {
		return
	}
	t.counted = held
	if held {
		t.all.held.Add(1)
	} else {
		t.all.held.Add(-1)
	}
}

// tryPassed asks at once for the leases that were free and left to others.
func (ts *tenures) tryPassed() {
	for _, t := range ts.all {
		if t.passed.Swap(false) {
			t.tryAgain()
		}
	}
}
