package lane

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/crashpoint"
	"github.com/roomtide/roomtide/internal/planted"
	"github.com/roomtide/roomtide/store"
)

const (
	// retryAfterBusy is the RetryAfter of a change that a full lane refuses, in
	// milliseconds: a few commits.
	retryAfterBusy = 250
	// probeEvery is how often a lane that cannot write tries again.
	probeEvery = time.Second
)

// item is a change that waits for its outcome.
type item struct {
	change change.Change // a Nop beside step
	done   change.Done
	size   int
	step   *step         // what it does beside the change; nil for most
	term   int64         // of the lane in which it is to be done; 0: in any
	origin change.Origin // with a sender in a cluster, which hears of Fenced and turns to the next owner
}

// outcome is what came of a change.
type outcome struct {
	reply change.Reply
	err   error
}

// lane decides and commits the changes of one shard.
type lane struct {
	// Set once.
	shard   int
	db      store.Writer
	cfg     *Config
	log     *slog.Logger
	metrics *metrics
	woken   chan struct{} // cap 1: something waits, or closed or leaving is set
	putting chan struct{} // holds one token while rows that move wait or are written

	// Safe for any goroutine.
	writeErr  atomic.Pointer[error]         // why writing does not work, nil if it does
	moving    atomic.Pointer[store.SlotSet] // slots whose written rows are named in the outbox; nil: none
	committed committed
	// Set by run: it acquires before the next batch, which the probe makes at the latest.
	positionUnknown atomic.Bool
	leaving         atomic.Bool // run gives back what waits, and ends

	mu sync.Mutex

	// Guarded by mu.
	waiting []item
	bytes   int // of what waits
	closed  bool
	away    bool          // another node owns the lane, or none
	term    int64         // counts the calls of begin
	ended   chan struct{} // closed when run returns; nil before the first begin
	hold    *hold         // changes of some slots wait there; nil at most times

	// Owned by run.
	at           store.Position
	progress     progress
	fenced       bool // another process owns the lane
	quiet        bool // nothing was published since the last tick
	unheard      bool // the last batch did not reach every node
	askKeysUntil time.Time
	cache        *cache
	spare        []item    // the slice that waiting is swapped with
	outcomes     []outcome // of one batch, kept for its memory
}

func newLane(shard int, db store.Writer, cfg *Config, m *metrics) *lane {
	return &lane{
		shard:   shard,
		db:      db,
		cfg:     cfg,
		log:     cfg.Log.With("shard", shard),
		metrics: m,
		woken:   make(chan struct{}, 1),
		putting: make(chan struct{}, 1),
		away:    true,
		cache:   newCache(),
	}
}

// begin starts the lane from where it was acquired. It has ended, or never begun.
func (l *lane) begin(at store.Position, from progress) {
	l.at, l.progress, l.fenced, l.askKeysUntil = at, from, false, time.Time{}
	l.cache.clear()
	l.committed.begin(at.N)
	l.positionUnknown.Store(false)
	l.leaving.Store(false)
	l.writeErr.Store(nil)
	ended := make(chan struct{})
	l.mu.Lock()
	l.away, l.ended = false, ended
	l.term++
	if l.hold != nil && l.hold.all { // of an earlier term, which has emptied it
		l.hold = nil
	}
	l.mu.Unlock()
	go l.run(ended)
}

// wake has run look for what waits.
func (l *lane) wake() {
	select {
	case l.woken <- struct{}{}:
	default:
	}
}

// close refuses new changes; run ends when those that wait are decided.
func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.wake()
}

// waitsMax reports whether a whole batch waits.
func (l *lane) waitsMax() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting) >= l.cfg.MaxBatch
}

// take returns up to MaxBatch waiting changes, and whether the lane may end.
func (l *lane) take() (items []item, end bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) <= l.cfg.MaxBatch {
		items = l.waiting
		l.waiting, l.spare = l.spare[:0], nil
		l.bytes = 0
	} else {
		items = append(l.spare[:0], l.waiting[:l.cfg.MaxBatch]...)
		l.spare = nil
		rest := copy(l.waiting, l.waiting[l.cfg.MaxBatch:])
		clear(l.waiting[rest:])
		l.waiting = l.waiting[:rest]
		for _, it := range items {
			l.bytes -= it.size
		}
	}
	return items, l.closed && len(items) == 0
}

// run is the goroutine of the lane. It ends behind close, or when the lane is another
// node's.
func (l *lane) run(ended chan struct{}) {
	defer close(ended)
	probe := time.NewTicker(probeEvery)
	defer probe.Stop()
	var pace pace
	for {
		if l.lost() {
			l.giveBack()
			return
		}
		if !l.waitsMax() {
			pace.wait()
		}
		items, end := l.take()
		if end {
			return
		}
		if len(items) > 0 {
			pace.begin(len(items))
			l.work(items)
			clear(items)
			clear(l.outcomes)
			l.spare = items[:0]
			continue
		}
		l.spare = items[:0]
		select {
		case <-l.woken:
		case <-probe.C:
			if l.writeErr.Load() != nil && !l.fenced {
				l.work([]item{{change: &change.Nop{}, done: func(change.Reply, error) {}}})
			}
			l.sayPosition()
		}
	}
}

// work takes one batch from the changes to its events: load, decide, commit,
// outcomes, publish.
func (l *lane) work(items []item) {
	ctx := context.Background() // store bounds each call
	if l.fenced {
		l.fail(items, &chat.Error{Kind: chat.Unavailable, Op: "lane.commit", Text: "this server no longer owns the room"})
		return
	}
	if l.positionUnknown.Load() {
		if err := l.acquire(); err != nil {
			l.fail(items, err)
			return
		}
	}
	before := l.at.N
	b, outcomes, err := l.decideAndCommit(ctx, items)
	if err != nil {
		l.failed(items, err)
		return
	}
	crashpoint.Hit("before-ack")
	l.metrics.batch(len(items)) // what has an outcome is counted
	l.metrics.pushes(&b.pushes)
	if !early(items) || l.at.N == before {
		settle(items, outcomes)
	}
	if l.at.N != before {
		l.publish(b, before)
	}
	l.cfg.AfterBatch()
	crashpoint.Hit("after-ack")
	for _, it := range items {
		l.finish(it.step)
	}
}

// settle gives every change its outcome.
func settle(items []item, outcomes []outcome) {
	for i, it := range items {
		it.done(outcomes[i].reply, outcomes[i].err)
	}
}

// early reports whether the items have their outcomes before they are committed, which
// is a mistake (package planted). Only messages have: tests need rooms first.
func early(items []item) bool {
	return planted.AckBeforeCommit && !slices.ContainsFunc(items, func(it item) bool { return it.change.Kind() != change.KindSend })
}

// fail gives every item the same error.
func (l *lane) fail(items []item, err error) {
	l.metrics.failed.Add(float64(len(items)))
	for _, it := range items {
		it.done(change.Reply{}, err)
	}
	l.cfg.AfterBatch()
}

// publish tells the bus what was committed behind position before: the events of
// all rooms, or that there are none, so that receivers see no hole.
func (l *lane) publish(b *batch, before int64) {
	l.quiet = false
	out := &bus.Batch{Lane: bus.Lane(l.shard), After: before, Position: l.at.N}
	events := 0
	for _, r := range b.touched {
		if len(r.events) == 0 && !r.past {
			continue
		}
		said := bus.RoomEvents{Room: r.ID, Events: r.events}
		if r.past {
			said.History = r.Rev
		}
		out.Rooms = append(out.Rooms, said)
		events += len(r.events)
	}
	err := l.cfg.Publish(out)
	if err != nil {
		l.metrics.unpublished.Add(float64(events))
	}
	if err != nil && !l.unheard { // the first of many
		l.log.Warn("batches do not reach every node; clients will resume", "position", out.Position, "events", events, "err", err)
	}
	l.unheard = err != nil
}
