package lane

import (
	"context"
	"errors"
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
	// askKeysFor is for how long keys are looked up first when one was a repeat.
	askKeysFor = time.Second
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
	for {
		if l.lost() {
			l.giveBack()
			return
		}
		items, end := l.take()
		if end {
			return
		}
		if len(items) > 0 {
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
	if !early(items) || l.at.N == before {
		settle(items, outcomes)
	}
	if l.at.N != before {
		l.publish(b, before)
	}
	l.cfg.AfterBatch()
	crashpoint.Hit("after-ack")
	l.metrics.batch(len(items))
	l.metrics.pushes(&b.pushes)
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

// decideAndCommit decides the changes and writes what follows from them.
//
// Almost every key of a message is new, so that the database is not asked for keys
// before the messages are written: over a network that would be a round trip, and a
// third of the work (decision 15). It refuses a key that it has, and then everything is
// decided again with what is stored. For a while after that keys are asked for at
// once: repeats come in crowds, when clients come back.
func (l *lane) decideAndCommit(ctx context.Context, items []item) (*batch, []outcome, error) {
	now := l.cfg.Now()
	keys := now.Before(l.askKeysUntil)
	for {
		b, outcomes, err := l.decide(ctx, items, keys)
		if err != nil {
			return nil, nil, err
		}
		if b.keyMatters && !keys {
			keys = true
			continue
		}
		ch, next := l.note(b.changes(), items)
		if ch == nil && l.writeErr.Load() == nil {
			l.progress = next // it is written with the next batch that is
			return b, outcomes, nil
		}
		if ch == nil {
			ch = &store.Changes{} // a probe: moves the position, writes nothing else
		}
		if early(items) {
			settle(items, outcomes)
		}
		err = l.commit(ctx, ch, keys)
		if err == nil {
			l.progress = next
		}
		if err == errTaken {
			keys, l.askKeysUntil = true, now.Add(askKeysFor)
			l.metrics.repeats.Inc()
			continue
		}
		return b, outcomes, err
	}
}

// decide loads what the changes depend on, with the messages of their keys or without,
// and decides them in memory.
func (l *lane) decide(ctx context.Context, items []item, keys bool) (*batch, []outcome, error) {
	b := newBatch(l.cfg.Now().UnixMilli(), len(items), l.cfg.Store.Base(), l.cache, &l.cfg.Limits)
	b.pushOff = l.cfg.PushOff
	b.moving, b.askKeys = l.moving.Load(), keys
	for _, it := range items {
		b.need(it.change)
		b.addStep(it.step)
	}
	if err := b.load(ctx, l.db); err != nil {
		l.writeFailed(err)
		return nil, nil, err
	}
	l.outcomes = l.outcomes[:0]
	for _, it := range items {
		reply, err := b.apply(it.change)
		l.outcomes = append(l.outcomes, outcome{reply, err})
	}
	return b, l.outcomes, nil
}

// errTaken is the error of a commit that wrote nothing because a key is there already.
var errTaken = errors.New("a key is taken")

// commit writes the batch and moves the position. On an error nothing was
// written, and the cache is cleared. asked says that the keys in ch were looked up.
func (l *lane) commit(ctx context.Context, ch *store.Changes, asked bool) error {
	start := time.Now()
	crashpoint.Hit("before-commit")
	err := l.db.Commit(ctx, 0, l.at, ch)
	crashpoint.Hit("after-commit")
	l.metrics.commit.Observe(time.Since(start).Seconds())
	if err != nil && chat.KindOf(err) == chat.Conflict && !asked {
		l.cache.clear()
		return errTaken
	}
	if err != nil && chat.KindOf(err) != chat.Fenced && chat.KindOf(err) != chat.ReadOnly {
		err = l.resolveCommit(err)
	}
	if err != nil {
		l.cache.clear()
		l.writeFailed(err)
		return err
	}
	l.at = l.at.Next()
	if l.writeErr.Swap(nil) != nil {
		l.log.Warn("writing works again")
	}
	l.committed.move(l.at.N, ch)
	return nil
}

// resolveCommit finds out whether a commit that ended in err has happened: the
// stored position says so, if nobody else has acquired the lane meanwhile. It returns
// nil if it has.
func (l *lane) resolveCommit(err error) error {
	before, epoch := l.at.N, l.at.Epoch
	if acquireErr := l.acquire(); acquireErr != nil {
		l.log.Error("the position of the lane is unknown", "err", acquireErr)
		return err
	}
	if l.at.N == before+1 && l.at.Epoch == epoch+1 {
		l.at.N = before // commit moves it on
		return nil
	}
	return err
}

// acquire makes this process the owner of the lane once more, and reads the
// position.
func (l *lane) acquire() error {
	at, err := l.db.Acquire(context.Background(), 0)
	l.positionUnknown.Store(err != nil)
	if err == nil {
		l.at = at
		l.committed.begin(at.N)
	}
	return err
}

// writeFailed records that writing does not work, and logs it the first time.
func (l *lane) writeFailed(err error) {
	if chat.KindOf(err) == chat.Fenced && !l.fenced {
		l.fenced = true
		if l.cfg.Cluster != nil {
			l.log.Info("another node has taken over this shard", "err", err)
			return
		}
		l.log.Error("another process has taken over this shard", "err", err)
		l.cfg.OnFenced(l.shard)
	}
	if l.writeErr.Swap(&err) == nil {
		l.log.Error("WRITING DOES NOT WORK: nothing is lost, clients are told to try again", "kind", chat.KindOf(err).Code(), "err", err)
	}
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
