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
package mover

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Lanes is what the mover needs of lane.Lanes, where the methods are specified.
type Lanes interface {
	PutRows(ctx context.Context, shard int, drop []store.RowKey, put *store.Rows, size int) error
	Note(ctx context.Context, shard int, slots *store.SlotSet) error
	Barrier(ctx context.Context, shard int, forget *store.SlotSet) error
	Position(shard int) int64
	SaveCursors(ctx context.Context, shard int, cursors ...store.Cursor) error
	ErrOf(shard int) error

	Hold(slots *store.SlotSet, from, to int)
	Release()
	Refuse()
}

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
	Lanes Lanes
	Hub   Hub

	// Lag is how far the consumers of a shard's outbox are behind (outbox.Outbox.Lag),
	// for Shards; may be nil.
	Lag func(shard int) int64

	PageRows    int           // rows that are read, compared or written at once; default 100
	PageBytes   int           // bytes of these; default 1 MiB
	FollowEvery time.Duration // how often what was written meanwhile is followed during a comparison; default 100 ms
	HoldFor     time.Duration // for how long changes may be held back; default 1 s
	Grace       time.Duration // from the flip to the deletion: longer than a question takes; default 35 s
	Retry       time.Duration // the first pause after a failure; default 250 ms. It grows up to a hundred times that
	Shared      bool          // other nodes may own the lanes: nothing is moved
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
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
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
	ended   chan struct{} // closed when run returns
	woken   chan struct{} // cap 1: an order came

	// recording is held while records are changed and saved: an older state of one is
	// never saved behind a newer one. It comes before mu.
	recording sync.Mutex

	mu sync.Mutex

	// Guarded by mu. Records are changed by run, orders by the methods of Mover.
	moves    []*store.Move // of this deployment, in ascending ID
	aborting int64         // ID of the last move that run was told to give up; 0: none
	interrupt
	progress progress
}

// interrupt ends what run is waiting for, when an order came.
type interrupt struct {
	step   context.Context
	cancel context.CancelFunc
}

// Open reads the records and goes on with what is left to do. The lanes note what they
// write in slots that move since they were opened. Close ends it. Conflict if something
// is left to do and the lanes are shared.
func Open(ctx context.Context, cfg Config) (*Mover, error) {
	cfg.fill()
	moves, err := cfg.Store.Moves(ctx)
	if err != nil {
		return nil, err
	}
	if cfg.Shared && slices.ContainsFunc(moves, func(mv *store.Move) bool { return !mv.Phase.Over() }) {
		return nil, &chat.Error{Kind: chat.Conflict, Op: "mover.open",
			Text: "slots are moving, which one node alone does: start it without nats.url until \"roomtide shards status\" says that the move is over"}
	}
	m := &Mover{
		cfg: cfg, log: cfg.Log, moves: moves, metrics: newMetrics(cfg.Registerer),
		ended: make(chan struct{}), woken: make(chan struct{}, 1),
	}
	m.ctx, m.stop = context.WithCancel(context.Background())
	go m.run()
	return m, nil
}

// Close stops working; what is left to do is done after the next Open. It comes before
// the Close of the lanes, and may be called again.
func (m *Mover) Close() {
	m.stop()
	<-m.ended
}

// run is the goroutine of the mover.
func (m *Mover) run() {
	defer close(m.ended)
	for m.ctx.Err() == nil {
		mv := m.next()
		if mv == nil {
			select {
			case <-m.woken:
			case <-m.ctx.Done():
			}
			continue
		}
		m.work(mv)
	}
}

// next returns the move to work on, nil if there is none or it is paused.
func (m *Mover) next() *store.Move {
	m.mu.Lock()
	defer m.mu.Unlock()
	mv := m.current()
	if mv == nil || mv.Paused && m.aborting != mv.ID && mv.Phase != store.MoveAborting {
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

// update saves a change of a record, then it is in force: what a later step relies on is
// never in memory alone.
func (m *Mover) update(mv *store.Move, change func(*store.Move)) error {
	m.recording.Lock()
	defer m.recording.Unlock()
	m.mu.Lock()
	next := *mv
	m.mu.Unlock()
	change(&next)
	if err := m.cfg.Store.Control.SaveMove(m.ctx, next.Encode()); err != nil {
		return err
	}
	m.mu.Lock()
	change(mv) // and no more of it: lanes read its Slots
	m.mu.Unlock()
	return nil
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
	known := ""
	for i, s := range m.cfg.Store.Shards() {
		if s.Name() == name {
			return i, nil
		}
		known += ", " + s.Name()
	}
	return 0, &chat.Error{Kind: chat.NotFound, Op: "mover.shard", Text: "there is no shard " + name +
		"; this node has " + known[2:] + " (a new one is added to the settings, and opened at the next start)"}
}
