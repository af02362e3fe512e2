package lane

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/store"
)

const (
	defaultLife = 3 * time.Second
	renewals    = 3 // of a lease in its life
	attempts    = 6 // at another's lease in its life

	clockStep = 2 * time.Millisecond // databases tell the rest of a lease in milliseconds
)

// Cluster is how the lanes of a node are owned where several nodes share them.
// Decision 25 has the reasons.
type Cluster struct {
	Node string // holds the leases; see cluster.CheckName

	// Forward hands a change on to the node that owns the lane, whichever it is, this one
	// included, and keeps the order of the changes of a lane. It does not block.
	Forward func(shard int, c change.Change, done change.Done)
	// Queue says that there is a durable queue beside the direct way of Forward. Then
	// each commit holds how far the lane has taken both.
	Queue bool
	// Owned runs when this node has become the owner of a lane that has taken so much, and
	// is repeated until it succeeds; and with nil when it is the owner no more, before
	// another node can be by the lease. One call at a time for a shard.
	Owned func(shard int, from *change.Progress) error
	// Leaving runs when this node begins to give up a lane that it may not own any more.
	// What waits in the lane has come to its end when Owned runs, which may take a while.
	Leaving func(shard int)
	// Left runs when this node has given up a lane for others to take.
	Left func(shard int)
	// Want runs when a lane that another node owns should be this one's (Pair), and again
	// until it is: the other node is to Cede it. It does not block.
	Want func(shard int)
	// Nodes is how many nodes share the lanes, this one included. It does not block.
	Nodes func() int
	// Gone runs when the lease of a lane has just run out that another node held: Nodes
	// counts that node no more from then on, for as long as it takes to be missed
	// otherwise. It does not block.
	Gone func(node string)

	Life time.Duration // of a lease; 0: 3 s
}

func (c *Cluster) fill() {
	if c.Life <= 0 {
		c.Life = defaultLife
	}
	if c.Nodes == nil {
		c.Nodes = func() int { return 1 }
	}
	if c.Gone == nil {
		c.Gone = func(string) {}
	}
	if c.Leaving == nil {
		c.Leaving = func(int) {}
	}
	if c.Want == nil {
		c.Want = func(int) {}
	}
	if c.Left == nil {
		c.Left = func(int) {}
	}
}

// tenures take, renew and give up the leases of all lanes.
type tenures struct {
	// Set once.
	all  []*tenure
	ctx  context.Context // ends with close
	stop context.CancelFunc
	work sync.WaitGroup

	held atomic.Int64         // leases that this node has, or is asking for
	pair atomic.Pointer[pair] // lanes that one node should own; nil: none
}

// tenure has a goroutine that asks for the lease of one lane, and owns the lane while
// it has it.
type tenure struct {
	// Set once.
	*lane
	lanes *Lanes
	all   *tenures
	db    *store.Shard
	again chan struct{} // cap 1: the lease may be free, or is wanted

	wanted atomic.Bool // by the node that owns the other lane of a pair
	passed atomic.Bool // the lease was free at the last look, and left to others for a while

	// Owned by run.
	counted bool             // in tenures.held
	running bool             // the lane has begun, and its end was not seen
	began   *change.Progress // where it has begun
	told    bool             // Cluster.Owned has succeeded
	renewed time.Time        // when the last successful renewal was sent
	left    time.Duration    // of another node's lease, as last seen; 0 or less: there is none
	seen    time.Time        // when another node's lease was seen that had not run out
}

func openTenures(ls *Lanes) *tenures {
	ctx, stop := context.WithCancel(context.Background())
	ts := &tenures{ctx: ctx, stop: stop}
	for i, l := range ls.lanes {
		t := &tenure{lane: l, lanes: ls, all: ts, db: ls.store.Shards()[i], again: make(chan struct{}, 1)}
		ts.all = append(ts.all, t)
	}
	return ts
}

// Begin has a node in a cluster ask for lanes. It comes when everything is there that
// Config.Cluster calls, once.
func (ls *Lanes) Begin() {
	for _, t := range ls.tenures.all {
		ls.tenures.work.Go(func() { t.run(ls.tenures.ctx) })
	}
}

// close gives up all lanes: what waits in them goes back to its senders. It may be called again, and
// for nil.
func (ts *tenures) close() {
	if ts == nil {
		return
	}
	ts.stop()
	ts.work.Wait()
}

// Leave gives up all lanes of a node in a cluster, so that others serve them at once,
// and returns when that is done. Changes are handed on until Close.
func (ls *Lanes) Leave() { ls.tenures.close() }

// Try asks for the lease of a lane at once, which another node has given up.
func (ls *Lanes) Try(shard int) {
	if ls.tenures == nil || shard < 0 || shard >= len(ls.lanes) {
		return
	}
	ls.tenures.all[shard].tryAgain()
}

func (t *tenure) tryAgain() {
	select {
	case t.again <- struct{}{}:
	default:
	}
}

// Owns reports whether this node owns the lane of the shard.
func (ls *Lanes) Owns(shard int) bool {
	l := ls.lanes[shard]
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.away
}

// Offer submits a change that a sender has handed to the owner of a lane. owned
// is false if that is not this node, here if the slot of the change is not of the lane
// by this node's map. If one of them is false nothing was or will be done. Otherwise done
// gets the outcome; Fenced if the lane has become another node's, and then the change may
// have been done; or change.ErrMoved if the slot has left the lane meanwhile, and then it
// was not. The origin has a sender.
func (ls *Lanes) Offer(shard int, c change.Change, from change.Origin, done change.Done) (owned, here bool) {
	if shard < 0 || shard >= len(ls.lanes) || !ls.Owns(shard) {
		return false, true
	}
	it := item{change: c, done: done, size: c.Size(), origin: from}
	switch ls.lanes[shard].submit(it, slotsOfChange(c)) {
	case elsewhere:
		return false, true
	case astray:
		return true, false
	}
	return true, true
}

func (t *tenure) run(ctx context.Context) {
	for {
		every := t.life() / attempts
		if t.running {
			every = t.life() / renewals
		}
		t.left = 0
		t.step(ctx)
		if t.left > 0 {
			every = min(every, t.left+clockStep)
		}
		timer := time.NewTimer(every)
		select {
		case <-ctx.Done():
			timer.Stop()
			t.giveUp()
			return
		case <-timer.C:
		case <-t.again:
		case <-t.end():
		}
		timer.Stop()
		t.seeEnd()
	}
}

func (t *tenure) life() time.Duration { return t.cfg.Cluster.Life }

// end is closed when the lane has ended by itself; nil while it does not run.
func (t *tenure) end() <-chan struct{} {
	if !t.running {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lane.ended
}

// seeEnd notes that the lane has ended by itself: it was fenced, or its database went
// away.
func (t *tenure) seeEnd() {
	select {
	case <-t.end():
		t.over()
	default:
	}
}

// over tells that the lane does not run here any more.
func (t *tenure) over() {
	t.running, t.told = false, false
	t.count(false)
	if err := t.cfg.Cluster.Owned(t.shard, nil); err != nil {
		t.log.Warn("leaving a lane", "err", err)
	}
}

// step renews the lease, or tries to get it, and acts on what came of it.
func (t *tenure) step(ctx context.Context) {
	if t.wanted.Swap(false) && t.running && t.isSecond() {
		t.log.Info("a lane is left to the node that moves slots to it")
		t.drop()
		t.unlease()
		return
	}
	sent := time.Now()
	lease, err := t.ask(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return
	case err != nil:
		if t.running && sent.Sub(t.renewed) > t.life() {
			t.log.Warn("the lease of a lane could not be renewed in time", "err", err)
			t.drop()
		}
		t.count(t.running)
		return
	case lease.Holder != t.cfg.Cluster.Node || lease.Left <= 0:
		t.isAnothers(lease)
		return
	}
	t.renewed = sent
	t.count(true)
	switch {
	case !t.running:
		t.start(ctx)
	case t.tooMany():
		t.log.Info("a lane is left to another node, which has fewer")
		t.drop()
		t.unlease()
		return
	}
	if t.running && !t.told {
		if err := t.cfg.Cluster.Owned(t.shard, t.began); err != nil {
			t.log.Warn("other nodes do not know yet that this one owns the lane", "err", err)
			return
		}
		t.told = true
	}
}

// isAnothers acts on a lease that this node does not have.
func (t *tenure) isAnothers(lease store.Lease) {
	if t.running {
		t.log.Info("another node has the lease of this lane", "holder", lease.Holder)
		t.drop()
	}
	if t.counted { // as one of this node's share; another one may be free
		t.count(false)
		t.all.tryPassed()
	}
	if t.left = lease.Left; t.left > 0 {
		t.seen = time.Now()
	}
	if t.joins() && lease.Left > 0 {
		t.cfg.Cluster.Want(t.shard)
	}
}

// start acquires the lane and begins to decide and commit its changes.
func (t *tenure) start(ctx context.Context) {
	at, err := t.db.Acquire(ctx, 0)
	if err == nil { // no earlier owner can commit any more
		err = t.lanes.settleMoves(ctx, t.lane)
	}
	if err != nil {
		t.log.Warn("cannot take over a lane", "err", err)
		return
	}
	row, err := t.db.Taken(ctx, 0)
	if err != nil {
		t.log.Warn("cannot take over a lane", "err", err)
		return
	}
	from, err := decodeProgress(row)
	if err != nil {
		t.log.Error("cannot take over a lane", "err", err)
		return
	}
	t.begin(at, from)
	t.running, t.began = true, from.known()
	t.metrics.tenures.Inc()
	t.log.Info("this node has taken over a lane", "position", at.N)
}

// drop ends the lane on this node; what waits goes back to its senders.
func (t *tenure) drop() {
	t.leaving.Store(true)
	t.cfg.Cluster.Leaving(t.shard)
	t.wake()
	t.lane.wait()
	t.over()
}

// unlease gives the lease back, for others to take at once.
func (t *tenure) unlease() {
	ctx, cancel := context.WithTimeout(context.Background(), t.life()/renewals)
	defer cancel()
	if err := t.db.Unlease(ctx, 0, t.cfg.Cluster.Node); err != nil {
		t.log.Warn("a lease was not given back, and runs out", "err", err)
		return
	}
	t.cfg.Cluster.Left(t.shard)
}

// giveUp ends the tenure for good.
func (t *tenure) giveUp() {
	t.seeEnd()
	if t.running {
		t.drop()
	}
	t.unlease()
}
