package storepresence

import (
	"context"
	"slices"
	"sync"
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

// run flushes until ctx ends.
func (r *Record) run(ctx context.Context) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.flush(ctx)
			tick.Reset(flushEvery) // not sooner after a flush that took long
		}
	}
}

// flush writes what has waited long enough, each shard's changes at the pace of
// its lane. It returns when all are written or lost, so a user's changes cannot
// overtake one another.
func (r *Record) flush(ctx context.Context) {
	var writing sync.WaitGroup
	for shard, cs := range r.take() {
		if len(cs) > 0 {
			writing.Go(func() { r.write(ctx, shard, cs) })
		}
	}
	writing.Wait()
	r.mu.Lock()
	r.flushing = nil
	r.mu.Unlock()
}

// take begins a flush and returns its changes by shard.
func (r *Record) take() [][]store.OnlineChange {
	r.mu.Lock()
	r.flushing, r.aged, r.recent = r.aged, r.recent, nil
	r.unwritten = r.flushing.len()
	due := r.flushing
	r.mu.Unlock()
	shards := make([][]store.OnlineChange, len(r.cfg.Store.Shards()))
	for room, users := range due {
		shard := r.cfg.Store.ShardOf(room.Slot())
		shards[shard] = slices.Grow(shards[shard], len(users))
		for user, on := range users {
			entry := store.OnlineEntry{User: user, Node: r.cfg.Node}
			shards[shard] = append(shards[shard], store.OnlineChange{Room: room, OnlineEntry: entry, On: on})
		}
	}
	return shards
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
			r.written(len(cs))
			return
		}
		r.written(n)
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

func (r *Record) written(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unwritten -= n
}
