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

// run flushes what waits for a shard until ctx ends, and not before what an earlier life of
// the node has written there is removed, which cleared tells: it would remove this life's too.
func (r *Record) run(ctx context.Context, shard int, cleared <-chan error) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if cleared != nil {
			if err := outcome(ctx, cleared); err == nil {
				cleared = nil
			} else if ctx.Err() == nil {
				cleared = r.clear(shard)
			}
		}
		if cleared == nil {
			r.flush(ctx, shard)
		}
		tick.Reset(flushEvery) // not sooner after a flush that took long
	}
}

// flush writes what has waited long enough at the pace of the shard's lane. It returns
// when all is written or has failed, so a user's changes cannot overtake one another.
func (r *Record) flush(ctx context.Context, shard int) {
	if cs := r.take(shard); len(cs) > 0 {
		r.giveBack(shard, r.write(ctx, shard, cs))
	}
}

// write submits changes of one shard in portions, and returns those that are to be written
// by the next flush: when a portion fails, it and the rest. They are lost when ctx ends.
func (r *Record) write(ctx context.Context, shard int, cs []store.OnlineChange) (failed []store.OnlineChange) {
	for {
		n := min(len(cs), portion)
		err := r.submit(ctx, shard, cs[:n])
		switch {
		case ctx.Err() != nil && err != nil:
			r.metrics.lost.Add(float64(len(cs)))
			return nil
		case err != nil:
			r.cfg.Log.Debug("presence: changes are not recorded in the store, and are tried again", "shard", shard, "changes", len(cs), "err", err)
			r.metrics.failed.Add(float64(len(cs)))
			return cs
		}
		r.written(shard, n)
		if cs = cs[n:]; len(cs) == 0 {
			return nil
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
	return outcome(ctx, done)
}

// outcome is that of a submission, or the error of ctx once it ends.
func outcome(ctx context.Context, done <-chan error) error {
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
