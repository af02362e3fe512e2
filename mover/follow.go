package mover

import (
	"context"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/crashpoint"
	"github.com/roomtide/roomtide/store"
)

const theLane store.LaneID = 0 // a shard has one

const (
	readAtOnce = 512 // entries: on a busy machine each round takes long, whatever it brings
	// followPages is how many pages are followed in one commit: following has to be
	// faster than the source is written, also when all of them are slow.
	followPages = 5
	// saveEvery is how many positions are followed before the cursor is saved, and
	// what was kept for the mover is deleted.
	saveEvery = 256
)

// catchUp follows until nothing is left, and goes on to compare.
func (j *job) catchUp(ctx context.Context) error {
	j.unequal = nil
	if err := j.follow(ctx, nil); err != nil {
		return err
	}
	return j.enter(store.MoveVerifying)
}

// follow brings the target up to what the lane of the source has committed. Rows for
// which skip reports false are left out; nil: none are.
func (j *job) follow(ctx context.Context, due func(store.RowKey) bool) error {
	for {
		// Read first: every entry up to here is seen below.
		committed := j.cfg.Lanes.Position(j.from)
		entries, err := j.source.Outbox(ctx, theLane, j.followed, readAtOnce)
		if err != nil {
			return err
		}
		if err := j.apply(ctx, j.keysOf(entries, due)); err != nil {
			return err
		}
		if n := len(entries); n > 0 {
			j.followed = entries[n-1].Position
		}
		if len(entries) < readAtOnce {
			j.followed = max(j.followed, committed) // the rest left no entries
		}
		if j.followed-j.saved >= saveEvery {
			if err := j.cfg.Lanes.SaveCursor(ctx, j.in, store.Cursor{Consumer: Cursor, Position: j.followed}); err != nil {
				return err
			}
			j.saved = j.followed
		}
		if len(entries) < readAtOnce {
			return nil
		}
	}
}

// keysOf are the different keys that entries name, of rows in the slots of the move.
func (j *job) keysOf(entries []store.Entry, due func(store.RowKey) bool) []store.RowKey {
	var keys []store.RowKey
	seen := map[store.RowKey]bool{}
	for i := range entries {
		for _, k := range entries[i].Keys {
			if seen[k] || !wholeNode(k) && (!j.slots.Has(k.Slot()) || due != nil && !due(k)) {
				continue
			}
			seen[k] = true
			keys = append(keys, k)
			if j.unequal != nil {
				j.unequal[k] = 0
			}
		}
	}
	return keys
}

// apply brings rows of the target in step with the source, as they are now.
func (j *job) apply(ctx context.Context, keys []store.RowKey) error {
	keys, err := j.spelledOut(ctx, keys)
	if err != nil {
		return err
	}
	for len(keys) > 0 {
		n := min(len(keys), followPages*j.cfg.PageRows)
		rows, drop, err := j.readKeys(ctx, keys[:n])
		if err != nil {
			return err
		}
		crashpoint.Hit("move-before-follow")
		if err := j.put(ctx, j.to, drop, rows, rows.Size()); err != nil {
			return err
		}
		crashpoint.Hit("move-after-follow")
		j.mu.Lock()
		j.mv.Followed += int64(n)
		j.mu.Unlock()
		if err := j.pace(ctx, n, 0); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// readKeys reads rows of the source; drop are those that it does not have.
func (j *job) readKeys(ctx context.Context, keys []store.RowKey) (rows *store.Rows, drop []store.RowKey, err error) {
	if rows, err = j.source.RowsByKey(ctx, keys); err != nil {
		return nil, nil, err
	}
	have := map[store.RowKey]bool{}
	for _, k := range rows.Keys() {
		have[k] = true
	}
	for _, k := range keys {
		if !have[k] {
			drop = append(drop, k)
		}
	}
	return rows, drop, nil
}

// stands reports whether k stands for many rows.
func stands(k store.RowKey) bool { return allReactions(k) || wholeNode(k) }

// allReactions reports whether k means all reactions of a message.
func allReactions(k store.RowKey) bool { return k.Table == store.TableReactions && k.A == "" }

// wholeNode reports whether k means all online entries of a node.
func wholeNode(k store.RowKey) bool { return k.Table == store.TableOnline && k.ID == "" }

// spelledOut replaces keys that stand for many rows by those that either shard has.
func (j *job) spelledOut(ctx context.Context, keys []store.RowKey) ([]store.RowKey, error) {
	var out []store.RowKey
	for _, k := range keys {
		if !stands(k) {
			out = append(out, k)
			continue
		}
		for _, s := range []*store.Shard{j.source, j.target} {
			var err error
			if wholeNode(k) {
				out, err = j.appendEntries(ctx, out, s, k.B)
			} else {
				slot := chat.RoomID(k.ID).Slot()
				out, err = j.appendRows(ctx, out, s, slot, k, func(r store.RowKey) bool { return r.ID == k.ID && r.Seq == k.Seq })
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// appendEntries appends the keys of the online entries of a node that a shard has in the
// slots of the move.
func (j *job) appendEntries(ctx context.Context, keys []store.RowKey, s *store.Shard, node string) ([]store.RowKey, error) {
	var entries []store.RowKey
	for slot := range j.slots.All() {
		var err error
		entries, err = j.appendRows(ctx, entries, s, slot, store.RowKey{Table: store.TableOnline}, func(store.RowKey) bool { return true })
		if err != nil {
			return nil, err
		}
	}
	for _, k := range entries {
		if k.B == node {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// appendRows appends the keys of a slot that follow one of the same table, while they
// are among those that are meant.
func (j *job) appendRows(ctx context.Context, keys []store.RowKey, s *store.Shard, slot chat.Slot, after store.RowKey, meant func(store.RowKey) bool) ([]store.RowKey, error) {
	for table := after.Table; ; {
		rows, next, err := s.SlotRows(ctx, slot, after, j.cfg.PageRows, 0)
		if err != nil {
			return nil, err
		}
		for _, k := range rows.Keys() {
			if k.Table != table || !meant(k) {
				return keys, nil
			}
			keys = append(keys, k)
		}
		if after = next; next == (store.RowKey{}) {
			return keys, nil
		}
	}
}
