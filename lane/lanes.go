// Package lane is the only way a durable change enters a room.
//
// Each shard has one lane: a goroutine that takes all changes that wait for it,
// loads the rows they depend on, decides them one after the other in memory, and
// commits everything in one transaction. While that commit is on its way to disk
// the next batch gathers, so batches grow with the load; under load they begin a few
// milliseconds apart (pace.go). Nothing is shown before the commit: behind it each
// change gets its outcome first, then the events go to the bus.
//
// A lane is the only writer of its slots. Its position is checked and moved in
// the transaction itself (store.Writer.Commit), so what a lane remembers of
// rooms and members between batches cannot be stale: if another owner had
// written, the commit would fail.
//
// Slots can move to another lane while changes come (moving.go). The map of the Store
// says which lane a change belongs to, and is looked at once more under the lane's lock,
// so that a change never enters a lane that has given its slot away.
//
// A change is data (package change). What is decided of it is in the file named
// after it, and found by its kind (rules.go).
package lane

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Config configures Lanes. Store and Publish are required.
type Config struct {
	Store *store.Store

	// Publish hands a commit on (bus.Bus.Publish). It is called once for every
	// commit of a lane, in order, also for one without events.
	Publish func(b *bus.Batch) error
	// AfterBatch runs when the acks and events of a batch are all handed on, for
	// acks that wait for it (hub.Kick).
	AfterBatch func()
	// OnFenced runs once for each lane that another process has taken over, without
	// Cluster.
	OnFenced func(shard int)
	// Cluster is set if several nodes share the lanes.
	Cluster *Cluster

	// PushOff says that no push service is used: then a read mark looks for no jobs. What
	// was left of an earlier time is not sent, as a sender compares jobs with the read marks.
	PushOff bool
	// Providers are those of devices; their jobs are counted from the start.
	Providers []string

	Limits     chat.Limits
	MaxBatch   int // changes in one commit; default 512
	MaxWaiting int // changes waiting in one lane; default 4096
	MaxBytes   int // bytes waiting in one lane; default 32 MiB
	Now        func() time.Time
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

func (c *Config) fill() {
	if c.MaxBatch == 0 {
		c.MaxBatch = 512
	}
	if c.MaxWaiting == 0 {
		c.MaxWaiting = 4096
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 32 << 20
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.AfterBatch == nil {
		c.AfterBatch = func() {}
	}
	if c.OnFenced == nil {
		c.OnFenced = func(int) {}
	}
	if c.Limits == (chat.Limits{}) {
		c.Limits = chat.DefaultLimits()
	}
	if c.Cluster != nil {
		c.Cluster.fill()
	}
}

// Lanes are the lanes of all shards of this process. Safe for concurrent use.
type Lanes struct {
	// Set once.
	cfg     *Config
	store   *store.Store
	lanes   []*lane  // by shard
	tenures *tenures // nil without Config.Cluster

	hold atomic.Pointer[hold] // as in the two lanes that it concerns, nil at most times
}

// Open takes ownership of the lane of every shard and starts them all; with
// Config.Cluster it owns none until Begin. Close ends them. It fails if the Store is
// not settled. Lanes whose slots move, as the records in the control database say, note
// what they write from the first commit on.
func Open(ctx context.Context, cfg Config) (*Lanes, error) {
	cfg.fill()
	if err := cfg.Store.Settled(); err != nil {
		return nil, err
	}
	ls := &Lanes{cfg: &cfg, store: cfg.Store}
	m := newMetrics(cfg.Registerer, cfg.Providers)
	for i, d := range cfg.Store.Shards() {
		ls.lanes = append(ls.lanes, newLane(i, d, &cfg, m))
	}
	if cfg.Cluster != nil {
		ls.tenures = openTenures(ls)
		return ls, nil
	}
	at := make([]store.Position, len(ls.lanes))
	for i, l := range ls.lanes {
		var err error
		if at[i], err = l.db.Acquire(ctx, 0); err != nil {
			return nil, err
		}
	}
	if err := ls.settleMoves(ctx, ls.lanes...); err != nil {
		return nil, err
	}
	for i, l := range ls.lanes {
		l.begin(at[i], progress{})
	}
	return ls, nil
}

// Submit hands the change to its lane and returns at once. If the lane is full or
// closed, done runs before Submit returns, with Busy or Unavailable; then nothing
// was or will be done. The change belongs to the lane until done runs. In a cluster it goes
// by Cluster.Forward, whichever node owns the lane.
func (ls *Lanes) Submit(c change.Change, done change.Done) {
	slot := c.Slot()
	if cl := ls.cfg.Cluster; cl != nil {
		cl.Forward(ls.store.ShardOf(slot), c, done)
		return
	}
	it := item{change: c, done: done, size: c.Size()}
	for ls.lanes[ls.store.ShardOf(slot)].submit(it, slotsOf{one: true, slot: slot}) == astray {
	}
}

// SubmitTo is Submit for a change that concerns a whole shard. Cursors are the owner's
// alone to save: another node is refused with Unavailable.
func (ls *Lanes) SubmitTo(shard int, c change.Change, done change.Done) {
	if online, ok := c.(*change.Online); ok {
		if cl := ls.cfg.Cluster; cl != nil {
			cl.Forward(shard, c, done)
			return
		}
		ls.submitOnline(shard, online, done)
		return
	}
	ls.lanes[shard].submitHere(item{change: c, done: done, size: c.Size()}, slotsOf{})
}

// Do is Submit and wait. If ctx ends first, the error is Unavailable and the
// change may still happen.
func (ls *Lanes) Do(ctx context.Context, c change.Change) (change.Reply, error) {
	ch := make(chan outcome, 1)
	ls.Submit(c, func(r change.Reply, err error) { ch <- outcome{r, err} })
	select {
	case o := <-ch:
		return o.reply, o.err
	case <-ctx.Done():
		return change.Reply{}, gaveUp(ctx, "lane.do")
	}
}

// Err is why writing does not work at the moment, nil if it does.
func (ls *Lanes) Err() error {
	var errs []error
	for shard := range ls.lanes {
		errs = append(errs, ls.ErrOf(shard))
	}
	return errors.Join(errs...)
}

// ErrOf is Err for one shard.
func (ls *Lanes) ErrOf(shard int) error {
	if p := ls.lanes[shard].writeErr.Load(); p != nil {
		return *p
	}
	return nil
}

// Close refuses new changes, commits what waits, and returns when all goroutines have
// ended. Consumers of the outbox that shall see all of it end before (Flush). It
// may be called again.
func (ls *Lanes) Close() {
	ls.Release()
	for _, l := range ls.lanes {
		l.close()
	}
	ls.tenures.close()
	for _, l := range ls.lanes {
		l.wait()
	}
}
