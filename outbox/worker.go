package outbox

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

const (
	theLane store.LaneID = 0 // a shard has one

	readAtOnce = 64 // entries
	// saveEvery is how many positions are worked on before the cursor is saved.
	saveEvery = 256
	// pollEvery is how often a worker looks for entries without a signal: a commit
	// whose outcome was unknown at first sends none.
	pollEvery = time.Second
)

// worker takes one consumer through the outbox of one shard.
type worker struct {
	// Set once.
	Consumer
	shard    int
	reader   *store.Reader
	cfg      *Config
	log      *slog.Logger
	wake     chan struct{} // cap 1: there may be something to read
	failures prometheus.Counter

	stopping chan struct{}      // closed by stop: it does what is there, and ends
	ended    chan struct{}      // closed when it has
	giveUp   context.CancelFunc // ends what it does; made by start
	stopOnce sync.Once

	at   atomic.Int64 // worked up to here; written by queues
	done atomic.Int64 // parts that were done; written by queues

	queues *queues // made by run

	// Owned by run.
	saved int64 // the stored cursor
	left  int64 // the newest entry behind which slots have left the shard
	tried int64 // the cursor that was last tried to be stored
	told  int64 // done, when it was
	asked time.Time
}

func newWorker(o *Outbox, c Consumer, shard int, reader *store.Reader, at int64, m *metrics) *worker {
	w := &worker{
		Consumer: c, shard: shard, reader: reader, cfg: &o.cfg,
		log:      o.cfg.Log.With("consumer", c.Name, "shard", reader.Name()),
		wake:     make(chan struct{}, 1),
		stopping: make(chan struct{}), ended: make(chan struct{}),
		failures: m.failures.WithLabelValues(c.Name, reader.Name()),
		saved:    at, tried: at,
	}
	if w.Parts == nil {
		w.Parts = func(_ context.Context, shard int, e *store.Entry) ([]Part, error) {
			return []Part{{Do: func(ctx context.Context) error { return w.Consume(ctx, shard, e) }, Size: size(e)}}, nil
		}
	}
	w.at.Store(at)
	return w
}

// start has the worker work until it is ended, or ctx is.
func (w *worker) start(ctx context.Context) {
	ctx, w.giveUp = context.WithCancel(ctx)
	w.cfg.Lanes.Notify(w.shard, w.wake)
	go func() {
		defer close(w.ended)
		w.run(ctx, w.stopping)
	}()
}

// stop has the worker do what is there, and end.
func (w *worker) stop() { w.stopOnce.Do(func() { close(w.stopping) }) }

// end is stop, and returns when the worker has ended. It may be called again.
func (w *worker) end() {
	w.stop()
	<-w.ended
	w.giveUp()
	w.cfg.Lanes.Forget(w.shard, w.wake)
}

// size is about how many bytes an entry takes.
func size(e *store.Entry) int {
	n := 0
	for i := range e.Rooms {
		n += 100 + 16*len(e.Rooms[i].Runs)
		for j := range e.Rooms[i].Members {
			n += e.Rooms[i].Members[j].Size()
		}
	}
	for _, u := range e.Users {
		n += 16 + len(u)
	}
	for _, c := range e.Onward {
		n += 24 + len(c)
	}
	return n + 100*(len(e.Keys)+len(e.Facts)) + 1024*len(e.Flips)
}

// lag is how many positions of the lane the consumer is behind.
func (w *worker) lag() int64 { return max(0, w.cfg.Lanes.Position(w.shard)-w.at.Load()) }

// run works until stopping is closed; then it works on what is there and saves the
// cursor. Everything ends when ctx does.
func (w *worker) run(ctx context.Context, stopping <-chan struct{}) {
	parts, leave := context.WithCancel(ctx)
	defer leave()
	w.queues = newQueues(parts, w, stopping)
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for failed := 0; ; {
		wake, tick, retry := w.wake, poll.C, (<-chan time.Time)(nil)
		full, err := w.catchUp(ctx)
		var later Later
		switch {
		case err == nil:
			failed = 0
		case errors.As(err, &later):
			failed, wake, tick, retry = 0, nil, nil, time.After(later.After)
		case ctx.Err() == nil:
			pause := w.backoff(failed, err)
			failed++
			w.failures.Inc()
			w.log.Warn("the outbox could not be read and will be tried again",
				"position", w.at.Load(), "failures", failed, "in", pause, "err", err)
			wake, tick, retry = nil, nil, time.After(pause)
		}
		if full {
			wake = nil // space comes first
		}
		select {
		case <-stopping:
			if w.Leaves {
				leave()
			}
			w.finish(ctx)
			return
		case <-wake:
		case <-tick:
		case <-retry:
		case <-w.queues.space:
		}
	}
}

// finish is the last attempt.
func (w *worker) finish(ctx context.Context) {
	full, err := false, error(nil)
	if !w.Leaves {
		full, err = w.catchUp(ctx)
	}
	for full && err == nil && ctx.Err() == nil {
		select { // a queue gives up or gets on
		case <-w.queues.space:
		case <-ctx.Done():
		}
		full, err = w.catchUp(ctx)
	}
	w.queues.working.Wait()
	if err != nil && ctx.Err() == nil && !errors.As(err, new(Later)) {
		w.failures.Inc()
		w.log.Warn("a consumer of the outbox has failed and goes on at the next start", "position", w.at.Load(), "err", err)
	}
	w.save(ctx)
}

// backoff is the pause after err, which has followed so many other failures.
func (w *worker) backoff(failed int, err error) time.Duration {
	return chat.Backoff(failed, err, w.cfg.MinBackoff, cmp.Or(w.MaxBackoff, w.cfg.MaxBackoff))
}

// catchUp reads entries, and gives them to their targets, until there are no more, or
// until so much is not done that there is no space for more (full).
func (w *worker) catchUp(ctx context.Context) (full bool, err error) {
	for {
		if w.due() {
			w.save(ctx)
		}
		read, full := w.queues.readTo()
		if full {
			return true, nil
		}
		// Read first: every entry up to here is seen below.
		committed := w.cfg.Lanes.Position(w.shard)
		entries, err := w.read(ctx, read)
		if err != nil {
			return false, err
		}
		for i := range entries {
			if _, full := w.queues.readTo(); full {
				return true, nil // the rest is read again
			}
			parts, err := w.Parts(ctx, w.shard, &entries[i])
			if err != nil {
				return false, err
			}
			if entries[i].Leaves() {
				w.left = entries[i].Position
			}
			w.queues.add(entries[i].Position, parts)
		}
		if len(entries) < readAtOnce {
			w.queues.advance(committed) // the rest left no entries
			return false, nil
		}
	}
}

// read returns the next entries behind a position: what the lane has just written it
// remembers, and the rest is in the database.
func (w *worker) read(ctx context.Context, after int64) ([]store.Entry, error) {
	if entries, ok := w.cfg.Lanes.Recent(w.shard, after, readAtOnce); ok {
		return entries, nil
	}
	return w.reader.Outbox(ctx, theLane, after, readAtOnce)
}

// due reports whether it is time to save the cursor.
func (w *worker) due() bool {
	at := w.at.Load()
	if at-w.tried >= saveEvery || w.saved < w.left && at >= w.left { // the same consumer of another shard waits (Passed)
		return true
	}
	// Of what was done alone: saving a cursor moves the lane, and is no reason to save it.
	return w.Prompt && w.done.Load() != w.told && time.Since(w.asked) >= pollEvery
}

// save stores the cursor if it has moved. A cursor that is not stored costs work
// done twice after a restart.
func (w *worker) save(ctx context.Context) {
	at := w.at.Load()
	if at == w.saved || ctx.Err() != nil {
		return
	}
	w.tried, w.asked = at, time.Now()
	done := w.done.Load()
	if err := w.cfg.Lanes.SaveCursors(ctx, w.shard, store.Cursor{Consumer: w.Name, Position: at}); err != nil {
		w.log.Warn("the cursor of a consumer was not saved", "position", at, "err", err)
		return
	}
	w.saved, w.told = at, done
}
