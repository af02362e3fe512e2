package outbox

import (
	"context"
	"slices"

	"github.com/roomtide/roomtide/store"
)

// Add registers one more consumer, whose name is that of no other one, in all shards that
// are started, and in those that will be. After an error it may be in some of them; the
// caller tries again, or removes it. Calls of Add and Remove do not overlap.
func (o *Outbox) Add(ctx context.Context, k Consumer) error {
	o.mu.Lock()
	if !slices.ContainsFunc(o.added, func(a Consumer) bool { return a.Name == k.Name }) {
		o.added = append(o.added, k)
	}
	o.mu.Unlock()
	for shard := range o.cfg.Store.Shards() {
		if err := o.addTo(ctx, shard, k); err != nil {
			return err
		}
	}
	return nil
}

func (o *Outbox) addTo(ctx context.Context, shard int, k Consumer) error {
	if !o.lacks(shard, k.Name) {
		return nil
	}
	workers, err := o.register(ctx, shard, []Consumer{k}, false)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lacksNow(shard, k.Name) {
		o.shards[shard] = append(o.shards[shard], workers[0])
		workers[0].start(o.ctx)
	}
	return nil
}

// lacks reports whether a shard is started, and without the consumer.
func (o *Outbox) lacks(shard int, consumer string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lacksNow(shard, consumer)
}

// lacksNow is lacks. Called with mu held.
func (o *Outbox) lacksNow(shard int, consumer string) bool {
	workers, started := o.shards[shard]
	return started && !o.closed && !has(workers, consumer)
}

// has reports whether one of the workers is the consumer's.
func has(workers []*worker, consumer string) bool {
	return slices.ContainsFunc(workers, func(w *worker) bool { return w.Name == consumer })
}

// Remove ends a consumer that was added, and deletes its cursors of the shards that are
// started here; what it was doing is given up. Of other shards Config.Fate has to say that
// it does not come back.
func (o *Outbox) Remove(ctx context.Context, consumer string) error {
	var ended []*worker
	var started []int
	o.mu.Lock()
	o.added = slices.DeleteFunc(o.added, func(k Consumer) bool { return k.Name == consumer })
	for shard, workers := range o.shards {
		started = append(started, shard)
		o.shards[shard] = slices.DeleteFunc(workers, func(w *worker) bool {
			if w.Name == consumer {
				ended = append(ended, w)
			}
			return w.Name == consumer
		})
	}
	o.mu.Unlock()
	for _, w := range ended {
		w.giveUp()
		w.end()
	}
	for _, shard := range started { // also where its worker has ended before: an attempt may have failed
		if err := o.cfg.Lanes.SaveCursors(ctx, shard, store.Cursor{Consumer: consumer, Drop: true}); err != nil {
			return err
		}
	}
	return nil
}

// Lags are how many commits a consumer has still to work on, by the shards that are started
// here.
func (o *Outbox) Lags(consumer string) map[int]int64 {
	lags := map[int]int64{}
	o.each(func(w *worker) {
		if w.Name == consumer {
			lags[w.shard] = w.lag()
		}
	})
	return lags
}
