package lane

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/crashpoint"
	"github.com/roomtide/roomtide/store"
)

const (
	// retryAfterBusy is what a refused client is told to wait, in milliseconds:
	// a few commits.
	retryAfterBusy = 250
	// ioTimeout bounds one load or commit.
	ioTimeout = 30 * time.Second
	// probeEvery is how often a lane in trouble tries whether writing works again.
	probeEvery = time.Second
)

type item struct {
	op   Op
	done Done
}

// lane applies the ops of one shard.
type lane struct {
	// Set once.
	shard   int
	db      store.Driver
	cfg     *Config
	log     *slog.Logger
	metrics *metrics
	wake    chan struct{} // cap 1: something waits, or closed is set
	ended   chan struct{} // closed when run returns
	outbox  chan struct{} // cap 1: a commit left an outbox entry

	// Safe for any goroutine.
	trouble atomic.Pointer[error] // why writing does not work, nil if it does

	mu      sync.Mutex
	waiting []item
	bytes   int
	closed  bool

	// Owned by run.
	at     store.Position
	lost   bool // another process owns the lane
	adrift bool // at is not known: Acquire before the next batch
	cache  *cache
	spare  []item // the slice that waiting is swapped with
}

func newLane(shard int, db store.Driver, at store.Position, cfg *Config, m *metrics) *lane {
	return &lane{
		shard:   shard,
		db:      db,
		cfg:     cfg,
		log:     cfg.Log.With("shard", shard),
		metrics: m,
		wake:    make(chan struct{}, 1),
		ended:   make(chan struct{}),
		outbox:  make(chan struct{}, 1),
		at:      at,
		cache:   newCache(),
	}
}

func (l *lane) submit(op Op, done Done) {
	size := op.size()
	l.mu.Lock()
	var err *chat.Error
	switch {
	case l.closed:
		err = &chat.Error{Kind: chat.Unavailable, Op: "lane.submit", Text: "the server is stopping, try again", RetryAfter: 1000}
	case len(l.waiting) >= l.cfg.MaxWaiting || l.bytes+size > l.cfg.MaxBytes && len(l.waiting) > 0:
		err = &chat.Error{Kind: chat.Busy, Op: "lane.submit", RetryAfter: retryAfterBusy}
	default:
		l.waiting = append(l.waiting, item{op, done})
		l.bytes += size
	}
	l.mu.Unlock()
	if err != nil {
		l.metrics.refused.Inc()
		done(Reply{}, err)
		return
	}
	l.poke()
}

func (l *lane) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.poke()
}

// barrier returns when everything submitted before it is decided.
func (l *lane) barrier(ctx context.Context) {
	ch := make(chan struct{})
	l.submit(nop{}, func(Reply, error) { close(ch) })
	select {
	case <-ch:
	case <-ctx.Done():
	}
}

// take returns up to MaxBatch waiting ops, and whether the lane may end.
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
			l.bytes -= it.op.size()
		}
	}
	return items, l.closed && len(items) == 0
}

func (l *lane) run() {
	defer close(l.ended)
	probe := time.NewTicker(probeEvery)
	defer probe.Stop()
	for {
		items, end := l.take()
		if end {
			return
		}
		if len(items) > 0 {
			l.work(items)
			clear(items)
			l.spare = items[:0]
			continue
		}
		l.spare = items[:0]
		select {
		case <-l.wake:
		case <-probe.C:
			if l.trouble.Load() != nil && !l.lost {
				l.work([]item{{nop{}, func(Reply, error) {}}})
			}
		}
	}
}

// work brings one batch down the road: load, decide, commit, ack, publish.
func (l *lane) work(items []item) {
	ctx, cancel := context.WithTimeout(context.Background(), ioTimeout)
	defer cancel()
	if l.lost {
		l.fail(items, &chat.Error{Kind: chat.Unavailable, Op: "lane.commit", Text: "this server no longer owns the room"})
		return
	}
	if l.adrift {
		if err := l.acquire(); err != nil {
			l.fail(items, err)
			return
		}
	}
	before := l.at.N
	b := newBatch(l.cfg.Now().UnixMilli(), l.cache, &l.cfg.Limits)
	for _, it := range items {
		it.op.need(b)
	}
	if err := b.load(ctx, l.db); err != nil {
		l.troubled(err)
		l.fail(items, err)
		return
	}
	type outcome struct {
		r   Reply
		err error
	}
	outcomes := make([]outcome, len(items))
	for i, it := range items {
		outcomes[i].r, outcomes[i].err = it.op.apply(b)
	}
	if ch := b.changes(l.at.Next().N); ch != nil || l.trouble.Load() != nil {
		if ch == nil {
			ch = &store.Changes{} // a probe: moves the position, writes nothing else
		}
		if err := l.commit(ctx, ch); err != nil {
			l.fail(items, err)
			return
		}
	}
	crashpoint.Hit("before-ack")
	for i, it := range items {
		it.done(outcomes[i].r, outcomes[i].err)
	}
	if l.at.N != before {
		l.publish(b, before)
	}
	l.cfg.AfterBatch()
	crashpoint.Hit("after-ack")
	l.metrics.batch(len(items))
}

// commit writes the batch and moves the position. On an error nothing was
// written, and what the lane remembers is forgotten.
func (l *lane) commit(ctx context.Context, ch *store.Changes) error {
	start := time.Now()
	crashpoint.Hit("before-commit")
	err := l.db.Commit(ctx, 0, l.at, ch)
	crashpoint.Hit("after-commit")
	l.metrics.commit.Observe(time.Since(start).Seconds())
	if err != nil && chat.KindOf(err) != chat.Fenced && chat.KindOf(err) != chat.ReadOnly {
		err = l.settle(err)
	}
	if err != nil {
		l.cache.forget()
		l.troubled(err)
		return err
	}
	l.at = l.at.Next()
	if l.trouble.Swap(nil) != nil {
		l.log.Warn("writing works again")
	}
	if ch.Outbox != nil {
		select {
		case l.outbox <- struct{}{}:
		default:
		}
	}
	return nil
}

// settle finds out whether a commit that ended in err has happened: the
// position says so.
func (l *lane) settle(err error) error {
	before := l.at.N
	if aerr := l.acquire(); aerr != nil {
		l.log.Error("cannot tell where the lane stands", "err", aerr)
		return err
	}
	if l.at.N == before+1 {
		l.at.N = before // commit moves it on
		return nil
	}
	return err
}

// acquire asks the database where the lane stands, and makes this process its
// owner once more.
func (l *lane) acquire() error {
	ctx, cancel := context.WithTimeout(context.Background(), ioTimeout)
	defer cancel()
	at, err := l.db.Acquire(ctx, 0)
	l.adrift = err != nil
	if err == nil {
		l.at = at
	}
	return err
}

// troubled notes that writing does not work, loudly the first time.
func (l *lane) troubled(err error) {
	if chat.KindOf(err) == chat.Fenced && !l.lost {
		l.lost = true
		l.log.Error("another process has taken over this shard", "err", err)
		l.cfg.OnFenced(l.shard)
	}
	if l.trouble.Swap(&err) == nil {
		l.log.Error("WRITING DOES NOT WORK: nothing is lost, clients are told to try again", "kind", chat.KindOf(err).Code(), "err", err)
	}
}

func (l *lane) fail(items []item, err error) {
	l.metrics.failed.Add(float64(len(items)))
	for _, it := range items {
		it.done(Reply{}, err)
	}
	l.cfg.AfterBatch()
}

// publish tells the bus what was committed behind position before: the events of
// all rooms, or that there are none, so that receivers see no hole.
func (l *lane) publish(b *batch, before int64) {
	out := &bus.Batch{Lane: bus.Lane(l.shard), After: before, Position: l.at.N}
	events := 0
	for _, r := range b.touched {
		if len(r.events) > 0 {
			out.Rooms = append(out.Rooms, bus.RoomEvents{Room: r.ID, Events: r.events})
			events += len(r.events)
		}
	}
	if err := l.cfg.Publish(out); err != nil {
		l.metrics.unpublished.Add(float64(events))
		l.log.Warn("a batch did not reach every node; clients will resume", "position", out.Position, "events", events, "err", err)
	}
}
