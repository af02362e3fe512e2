package storepresence

import (
	"context"
	"time"

	"github.com/roomtide/roomtide/store"
)

const (
	// flushEvery is the time between two flushes. Each writes what was there at the
	// one before it.
	flushEvery = 20 * time.Second

	// A mass reconnect's changes must not hold a lane up: one submission has so many
	// changes, and the next follows so long after it was written.
	portion      = 50
	portionPause = 10 * time.Millisecond
)

// run flushes what waits for a shard until ctx ends.
func (r *Record) run(ctx context.Context, shard int) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.flush(ctx, shard)
			tick.Reset(flushEvery) // not sooner after a flush that took long
		}
	}
}

// flush writes what has waited long enough at the pace of the shard's lane. It returns
// when all is written or lost, so a user's changes cannot overtake one another.
func (r *Record) flush(ctx context.Context, shard int) {
	if cs := r.take(shard); len(cs) > 0 {
		r.write(ctx, shard, cs)
	}
	r.mu.Lock()
	r.parts[shard].flushing = nil
	r.mu.Unlock()
}

// write submits changes of one shard in portions. When one fails it and the rest
// are lost and not tried again: this is the answer of last resort, and wrong by a
// few users then.
func (r *Record) write(ctx context.Context, shard int, cs []store.OnlineChange) {
	for {
		n := min(len(cs), portion)
		if err := r.submit(ctx, shard, cs[:n]); err != nil {
			r.cfg.Log.Debug("presence: changes are not recorded in the store", "shard", shard, "changes", len(cs), "err", err)
			r.metrics.lost.Add(float64(len(cs)))
			r.written(shard, len(cs))
			return
		}
		r.written(shard, n)
		if cs = cs[n:]; len(cs) == 0 {
			return
		}
		select {
		case <-time.After(portionPause):
		case <-ctx.Done(): // submit fails then
		}
	}
}

// submit waits for the outcome of a submission, or until ctx ends.
func (r *Record) submit(ctx context.Context, shard int, cs []store.OnlineChange) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan error, 1)
	r.cfg.Submit(shard, cs, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Record) written(shard, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parts[shard].unwritten -= n
}
