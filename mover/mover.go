// Package mover moves slots from one shard to another while the node serves.
//
// One move has one source and one target, of any engine. Its record (store.Move) is in
// the control database, so that it goes on at the next start; the slot map says which
// of the two shards owns the slots, and one new version of it is the moment at which
// everything changes hands. The phases:
//
//	waiting    another move comes first
//	copying    the rows of the slots, by their keys, in pages. The lane of the source
//	           names in the outbox what it writes meanwhile
//	following  rows named in the outbox are read again, as they are now, and written to
//	           the target or deleted there. That may be done twice, and late
//	verifying  the rows of both shards are compared; what is written meanwhile is
//	           compared again
//	holding    changes of the slots wait: the lane of the source finishes what it has,
//	           the rest is followed and compared, the new map is saved, and the changes
//	           go to the lane of the target. It takes milliseconds; what would take
//	           longer than Config.HoldFor is given up and tried again later
//	flipped    the target owns the slots
//	cleaning   the rows in the source are deleted, when questions that were on their way
//	           have ended and no other move is to be done
//	done
//
// Before the flip a move can be aborted: aborting deletes the copy. After it the way
// back is a move in the other direction.
//
// Everything is done by one goroutine, which owns the move that it works on. The
// target's rows are written by the target's lane, so that the fence of the lane
// protects them as everything else.
//
// In a cluster the node that owns the lane of the source works on the move, and gets the
// lane of the target as well (lane.Lanes.Pair); orders are given to any node, through the
// record. Nothing of it rests on time: decision 47 says why.
package mover

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/store"
)

// Hub is what the mover needs of hub.Hub, where the methods are specified.
type Hub interface {
	Listen(lane bus.Lane) error
	Reroute() error
}

// Cursor is the name of the mover's cursor in the outbox of the source, which keeps
// the entries that it has still to follow.
const Cursor = "mover"

// Config configures a Mover. Store, Lanes and Hub are required.
type Config struct {
	Store *store.Store
	Lanes *lane.Lanes
	Hub   Hub

	Cluster *Cluster // nil: this node is the only one

	// Lag is how far the consumers of a shard's outbox are behind (outbox.Outbox.Lag),
	// for Shards; may be nil.
	Lag func(shard int) int64

	PageRows    int           // rows that are read, compared or written at once; default 100
	PageBytes   int           // bytes of these; default 1 MiB
	FollowEvery time.Duration // how often what was written meanwhile is followed during a comparison; default 100 ms
	HoldFor     time.Duration // for how long changes may be held back; default 1 s
	Grace       time.Duration // from the flip to the deletion: longer than a question takes; default 35 s
	Retry       time.Duration // the first pause after a failure; default 250 ms. It grows up to a hundred times that
	Now         func() time.Time

	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

func (c *Config) fill() {
	if c.Lag == nil {
		c.Lag = func(int) int64 { return 0 }
	}
	if c.PageRows == 0 {
		c.PageRows = 100
	}
	if c.PageBytes == 0 {
		c.PageBytes = 1 << 20
	}
	if c.FollowEvery == 0 {
		c.FollowEvery = 100 * time.Millisecond
	}
	if c.HoldFor == 0 {
		c.HoldFor = time.Second
	}
	if c.Grace == 0 {
		c.Grace = 35 * time.Second
	}
	if c.Retry == 0 {
		c.Retry = 250 * time.Millisecond
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Cluster != nil {
		c.Cluster.fill()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// Cluster is what the mover needs where other nodes share the lanes. Node, Tell, ReadMap and
// Behind are required.
type Cluster struct {
	Node string

	// HoldQueue is relay.Relay.HoldQueue; nil: there is no durable queue.
	HoldQueue func(ctx context.Context, lane int) (release func(), err error)
	// Tell has the Movers of the other nodes Look.
	Tell func()
	// ReadMap puts the stored slot map in force, if it is a newer one. It is called again
	// after an error.
	ReadMap func() error
	// Behind returns which nodes do not have the slot map of this one, or not its shards, as
	// an error; nil: none.
	Behind func(ctx context.Context) error

	Every time.Duration // between two looks at the records while slots move; default 2 s
	Rest  time.Duration // while none do, for what Tell has not reached; default 30 s
}

func (c *Cluster) fill() {
	if c.Every == 0 {
		c.Every = 2 * time.Second
	}
	if c.Rest == 0 {
		c.Rest = 30 * time.Second
	}
}

// Mover works on the moves of a node, one after the other. Safe for concurrent use.
type Mover struct {
	// Set once.
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	running sync.WaitGroup
	woken   chan struct{} // cap 1: an order came
	told    chan struct{} // cap 1: another node has changed something

	// recording is held while records are read, changed and saved. It comes before mu.
	recording sync.Mutex
	saved     map[int64][]byte // guarded by recording: each record as it was stored or read last

	mu sync.Mutex

	// Guarded by mu. Records are changed by run, orders by the methods of Mover.
	moves   []*store.Move // of this deployment, in ascending ID
	working *store.Move   // by run; nil: none
	interrupt
	progress progress
}

// interrupt ends what run is waiting for, when an order came.
type interrupt struct {
	step   context.Context
	cancel context.CancelFunc
}

// Open reads the records and goes on with what is left to do. The lanes note what they
// write in slots that move since they were opened. Close ends it.
func Open(ctx context.Context, cfg Config) (*Mover, error) {
	cfg.fill()
	m := &Mover{
		cfg: cfg, log: cfg.Log, metrics: newMetrics(cfg.Registerer), saved: map[int64][]byte{},
		woken: make(chan struct{}, 1), told: make(chan struct{}, 1),
	}
	m.ctx, m.stop = context.WithCancel(context.Background())
	if _, err := m.refresh(ctx); err != nil {
		return nil, err
	}
	m.running.Go(m.run)
	if cfg.Cluster != nil {
		m.running.Go(m.watch)
	}
	return m, nil
}

// Close stops working; what is left to do is done after the next Open. It comes before
// the Close of the lanes, and may be called again.
func (m *Mover) Close() {
	m.stop()
	m.running.Wait()
}

// run is the goroutine that works.
func (m *Mover) run() {
	for m.ctx.Err() == nil {
		mv := m.next()
		if mv == nil || !m.work(mv) {
			select {
			case <-m.woken:
			case <-m.ctx.Done():
			}
		}
	}
}

// next returns the move to work on, nil if there is none or it is paused.
func (m *Mover) next() *store.Move {
	m.mu.Lock()
	defer m.mu.Unlock()
	mv := m.current()
	if mv == nil || mv.Paused && !mv.Unwanted && mv.Phase != store.MoveAborting {
		return nil
	}
	return mv
}

// current is the first move that is not over; what is left in a source is deleted when
// nothing else is to be done. m.mu is held.
func (m *Mover) current() (mv *store.Move) {
	for _, next := range m.moves {
		if next.Phase.Over() {
			continue
		}
		if next.Phase != store.MoveCleaning {
			return next
		}
		if mv == nil {
			mv = next
		}
	}
	return mv
}

// wake has run look at its orders.
func (m *Mover) wake() {
	m.mu.Lock()
	if m.cancel != nil {
		m.cancel()
	}
	m.mu.Unlock()
	m.nudge()
}

// nudge has run look whether there is work for it, if it is at rest.
func (m *Mover) nudge() {
	select {
	case m.woken <- struct{}{}:
	default:
	}
}

// begin returns the context of a step, which ends with Close and when an order comes.
func (m *Mover) begin() (context.Context, context.CancelFunc) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.step, m.cancel = context.WithCancel(m.ctx)
	return m.step, m.cancel
}

// shards are the numbers of the source and the target.
func (m *Mover) shards(mv *store.Move) (from, to int, err error) {
	if from, err = m.shard(mv.From); err == nil {
		to, err = m.shard(mv.To)
	}
	return from, to, err
}

// shard returns the number of a shard. NotFound.
func (m *Mover) shard(name string) (int, error) {
	if number, ok := m.cfg.Store.ShardNamed(name); ok {
		return number, nil
	}
	known := ""
	for _, s := range m.cfg.Store.Shards() {
		known += ", " + s.Name()
	}
	return 0, &chat.Error{Kind: chat.NotFound, Op: "mover.shard", Text: "there is no shard " + name +
		"; this node has " + known[2:] + " (a new one is added to the settings, and opened at the next start)"}
}
