// Package lane is the only way a durable change enters a room.
//
// Each shard has one lane: a goroutine that takes all commands waiting for it,
// loads the rows they depend on, decides them one after the other in memory,
// and commits everything in one transaction. While that commit is on its way
// to disk the next batch gathers, so batches grow with the load and no timer
// is needed. Only after the commit does anybody hear of it: first the ack is
// queued for whoever asked, then the events go to the bus.
//
// A lane is the only writer of its slots. Its position is checked and moved in
// the transaction itself (store.Writer.Commit), so what a lane remembers of
// rooms and members between batches cannot be stale: if another owner had
// written, the commit would fail.
//
// What a command does is in the file named after it.
package lane

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// An Op is one command. The types that implement it are in this package.
type Op interface {
	// Slot is the slot whose lane applies the op.
	Slot() chat.Slot

	// need adds the rows the op depends on, unless the batch has them.
	need(b *batch)

	// apply decides the op. It checks everything before it changes anything, so
	// that an op that fails leaves no trace in the batch.
	apply(b *batch) (Reply, error)

	// size is about how many bytes the op holds while it waits.
	size() int
}

// Reply is what came of an op. Which fields are set depends on the op.
type Reply struct {
	Seq      chat.Seq
	Rev      chat.Rev
	Time     int64 // Unix milliseconds
	Repeated bool  // the key was known: this is the first attempt's reply
	Created  bool  // the room was made
	Changed  bool  // there was something to do
	Room     chat.Room
	Member   chat.Member
	UserRoom store.UserRoom
}

// Done receives the outcome of an op, once, from the lane's goroutine or, when
// the op was refused, from Submit's caller. It must not block.
type Done func(Reply, error)

// Config configures Lanes. Store and Publish are required.
type Config struct {
	Store *store.Store

	// Publish hands a commit on (bus.Bus.Publish). It is called once for every
	// commit of a lane, in order, also for one without events.
	Publish func(b *bus.Batch) error
	// AfterBatch runs when the acks and events of a batch are all handed on, for
	// acks that wait for it (hub.Kick).
	AfterBatch func()
	// OnFenced runs, once a lane, when another process has taken it over.
	OnFenced func(shard int)

	Limits     chat.Limits
	MaxBatch   int // ops in one commit; default 512
	MaxWaiting int // ops waiting in one lane; default 4096
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
}

// Lanes are the lanes of all shards of this process.
type Lanes struct {
	store      *store.Store
	lanes      []*lane      // by shard
	projectors []*projector // by shard
	stop       sync.Once
	projecting sync.WaitGroup
	stopping   chan struct{} // closed by Close: projectors end
}

// Open takes ownership of every shard's lane and starts working.
func Open(ctx context.Context, cfg Config) (*Lanes, error) {
	cfg.fill()
	ls := &Lanes{store: cfg.Store, stopping: make(chan struct{})}
	m := newMetrics(cfg.Registerer)
	for i, d := range cfg.Store.Shards() {
		at, err := d.Acquire(ctx, 0)
		if err != nil {
			return nil, err
		}
		ls.lanes = append(ls.lanes, newLane(i, d, at, &cfg, m))
	}
	for i, l := range ls.lanes {
		p, err := newProjector(ctx, ls, l, cfg.Store.Shards()[i])
		if err != nil {
			return nil, err
		}
		ls.projectors = append(ls.projectors, p)
	}
	for i, l := range ls.lanes {
		go l.run()
		ls.projecting.Go(ls.projectors[i].run)
	}
	return ls, nil
}

// Submit hands the op to its lane and returns at once. If the lane is full or
// closed, done runs before Submit returns, with Busy or Unavailable; then
// nothing was or will be done.
func (ls *Lanes) Submit(op Op, done Done) {
	ls.lanes[ls.store.ShardOf(op.Slot())].submit(op, done)
}

// SubmitTo is Submit for an op that concerns a whole shard.
func (ls *Lanes) SubmitTo(shard int, op Op, done Done) { ls.lanes[shard].submit(op, done) }

// Do is Submit and wait. If ctx ends first the op may still happen.
func (ls *Lanes) Do(ctx context.Context, op Op) (Reply, error) {
	type outcome struct {
		r   Reply
		err error
	}
	ch := make(chan outcome, 1)
	ls.Submit(op, func(r Reply, err error) { ch <- outcome{r, err} })
	select {
	case o := <-ch:
		return o.r, o.err
	case <-ctx.Done():
		return Reply{}, &chat.Error{Kind: chat.Unavailable, Op: "lane.do", Text: "gave up waiting", Err: ctx.Err()}
	}
}

// Err reports why writing does not work at the moment, nil if it does.
func (ls *Lanes) Err() error {
	var errs []error
	for _, l := range ls.lanes {
		if p := l.trouble.Load(); p != nil {
			errs = append(errs, *p)
		}
	}
	return errors.Join(errs...)
}

// Close refuses new ops, commits what waits, lets the projections catch up
// with it as far as ctx allows, and returns when all goroutines have ended.
func (ls *Lanes) Close(ctx context.Context) {
	ls.stop.Do(func() {
		for _, l := range ls.lanes {
			l.barrier(ctx)
		}
		close(ls.stopping)
		ls.projecting.Wait()
		for _, l := range ls.lanes {
			l.close()
		}
		for _, l := range ls.lanes {
			<-l.ended
		}
	})
}
