package outbox

import (
	"context"
	"slices"
	"strings"

	"github.com/roomtide/roomtide/store"
)

// Start registers the consumers in a shard whose lane this node owns, and starts them.
// A shard that is started stays as it is. Calls for one shard do not overlap.
func (o *Outbox) Start(ctx context.Context, shard int) error {
	o.mu.Lock()
	_, started := o.shards[shard]
	started = started || o.closed
	consumers := o.consumers()
	o.mu.Unlock()
	if started {
		return nil
	}
	workers, err := o.register(ctx, shard, consumers, true)
	for err == nil {
		added, removed := o.begin(shard, workers)
		if len(added)+len(removed) == 0 {
			return nil
		}
		workers, err = o.exchange(ctx, shard, workers, added, removed)
	}
	return err
}

// begin starts the workers of a shard, if they are those of the consumers that are registered:
// some may have been added and removed meanwhile, which it returns then.
func (o *Outbox) begin(shard int, workers []*worker) (added []Consumer, removed []*worker) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil, nil
	}
	consumers := o.consumers()
	for _, k := range consumers {
		if !has(workers, k.Name) {
			added = append(added, k)
		}
	}
	for _, w := range workers {
		if !slices.ContainsFunc(consumers, func(k Consumer) bool { return w.Name == k.Name }) {
			removed = append(removed, w)
		}
	}
	if len(added)+len(removed) > 0 {
		return added, removed
	}
	o.shards[shard] = workers
	for _, w := range workers {
		w.start(o.ctx)
	}
	return nil, nil
}

// exchange makes workers of consumers that were added, and deletes the cursors of those that
// were removed.
func (o *Outbox) exchange(ctx context.Context, shard int, workers []*worker, added []Consumer, removed []*worker) ([]*worker, error) {
	for _, gone := range removed {
		if err := o.cfg.Lanes.SaveCursors(ctx, shard, store.Cursor{Consumer: gone.Name, Drop: true}); err != nil {
			return nil, err
		}
		workers = slices.DeleteFunc(workers, func(w *worker) bool { return w == gone })
	}
	more, err := o.register(ctx, shard, added, false)
	return append(workers, more...), err
}

// consumers are those that are registered. Called with mu held.
func (o *Outbox) consumers() []Consumer { return slices.Concat(o.cfg.Consumers, o.added) }

// Stop ends the consumers of a shard whose lane this node does not own any more. They go
// on where the lane is owned, from the cursors that were saved.
func (o *Outbox) Stop(shard int) {
	o.mu.Lock()
	workers := o.shards[shard]
	delete(o.shards, shard)
	o.mu.Unlock()
	for _, w := range workers {
		w.giveUp()
	}
	for _, w := range workers {
		w.end()
	}
}

// halt ends everything without another attempt.
func (o *Outbox) halt() {
	o.giveUp()
	for shard := range o.cfg.Store.Shards() {
		o.Stop(shard)
	}
}

// register makes workers of a shard. Cursors of new consumers are written
// before any worker runs, and all in one commit: each commit of a cursor trims what
// all cursors have passed, and must not miss one. all: these are all that are registered.
func (o *Outbox) register(ctx context.Context, shard int, consumers []Consumer, all bool) (workers []*worker, err error) {
	reader := &o.cfg.Store.Shards()[shard].Reader
	cursors, err := reader.Cursors(ctx, theLane)
	if err != nil {
		return nil, err
	}
	stored := make(map[string]int64, len(cursors))
	for _, cursor := range cursors {
		stored[cursor.Consumer] = cursor.Position
	}
	var fresh []store.Cursor
	for _, k := range consumers {
		at, known := stored[k.Name]
		delete(stored, k.Name)
		if !known {
			if at, err = o.start(ctx, &k, shard); err != nil {
				return nil, err
			}
			fresh = append(fresh, store.Cursor{Consumer: k.Name, Position: at})
		}
		workers = append(workers, newWorker(o, k, shard, reader, at, o.metrics))
	}
	if all {
		fresh = append(fresh, o.unknown(ctx, stored, reader)...)
	}
	if len(fresh) == 0 {
		return workers, nil
	}
	return workers, o.cfg.Lanes.SaveCursors(ctx, shard, fresh...)
}

// start is where a consumer without a cursor starts.
func (o *Outbox) start(ctx context.Context, k *Consumer, shard int) (int64, error) {
	switch {
	case k.StartAt != nil:
		return k.StartAt(ctx, shard)
	case k.Start == FromNow:
		return o.cfg.Lanes.Position(shard), nil
	}
	return 0, nil
}

// apart reports whether the cursor is moved elsewhere.
func (o *Outbox) apart(name string) bool {
	return slices.ContainsFunc(o.cfg.Apart, func(apart string) bool {
		return name == apart || strings.HasSuffix(apart, ":") && strings.HasPrefix(name, apart)
	})
}

// unknown returns what to do with cursors of consumers that are not registered.
func (o *Outbox) unknown(ctx context.Context, stored map[string]int64, reader *store.Reader) (drop []store.Cursor) {
	for name, at := range stored {
		if o.apart(name) {
			continue
		}
		switch o.cfg.Fate(ctx, name) {
		case Gone:
			drop = append(drop, store.Cursor{Consumer: name, Drop: true})
		case Unknown:
			o.cfg.Log.Warn("a consumer that is not registered keeps entries of the outbox",
				"consumer", name, "shard", reader.Name(), "position", at)
		}
	}
	return drop
}
