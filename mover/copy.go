package mover

import (
	"context"
	"errors"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/crashpoint"
	"github.com/roomtide/roomtide/store"
)

// copyFor is for how long pages are copied before what was written meanwhile is
// followed, and the record saved.
const copyFor = 500 * time.Millisecond

// page is some rows of the source, and the place behind them.
type page struct {
	rows  store.Rows
	bytes int
	at    chat.Slot
	after store.RowKey
	end   bool // there are no more
}

// copy copies pages for some time, and follows.
func (j *job) copy(ctx context.Context) error {
	end, err := j.copyPages(ctx)
	if err != nil {
		return err
	}
	// No page is on its way here: a row that follow reads is not replaced by an
	// older one.
	if err := j.follow(ctx, j.copied); err != nil {
		return err
	}
	if end {
		return j.enter(store.MoveFollowing)
	}
	return j.update(j.mv, func(*store.Move) {})
}

// copied reports whether the copy is behind the key: a row that is not copied yet need
// not be followed.
func (j *job) copied(k store.RowKey) bool {
	slot := k.Slot()
	return slot < j.mv.At || slot == j.mv.At && k.Compare(j.mv.After) <= 0
}

// copyPages copies pages, one after the other.
func (j *job) copyPages(ctx context.Context) (end bool, err error) {
	for until := time.Now().Add(copyFor); ; {
		p, err := j.readPage(ctx, j.mv.At, j.mv.After)
		if err != nil {
			return false, err
		}
		if err := j.writePage(ctx, p); err != nil {
			return false, err
		}
		if p.end || time.Now().After(until) {
			return p.end, nil
		}
	}
}

// readPage reads rows behind a place, of as many slots as it takes.
func (j *job) readPage(ctx context.Context, at chat.Slot, after store.RowKey) (*page, error) {
	p := &page{at: at, after: after}
	for {
		slot, ok := j.slotFrom(p.at)
		if !ok {
			p.end = true
			return p, nil
		}
		if slot != p.at {
			p.at, p.after = slot, store.RowKey{}
		}
		rows, next, err := j.source.SlotRows(ctx, slot, p.after, j.cfg.PageRows-p.rows.Len(), j.cfg.PageBytes-p.bytes)
		if err != nil {
			return nil, err
		}
		p.rows.Add(rows)
		p.bytes += rows.Size()
		if p.after = next; next == (store.RowKey{}) {
			p.at = slot + 1
		}
		if p.rows.Len() >= j.cfg.PageRows || p.bytes >= j.cfg.PageBytes {
			return p, nil
		}
	}
}

// slotFrom is the first slot of the move that is not less than slot.
func (j *job) slotFrom(slot chat.Slot) (chat.Slot, bool) {
	for ; slot < chat.Slots; slot++ {
		if j.slots.Has(slot) {
			return slot, true
		}
	}
	return 0, false
}

func (j *job) writePage(ctx context.Context, p *page) error {
	n := p.rows.Len()
	if n > 0 {
		crashpoint.Hit("move-before-page")
		if err := j.put(ctx, j.to, nil, &p.rows, p.bytes); err != nil {
			return err
		}
		crashpoint.Hit("move-after-page")
	}
	j.metrics.rows.Add(float64(n))
	j.mu.Lock()
	j.mv.At, j.mv.After = p.at, p.after
	j.mv.Rows += int64(n)
	j.mv.Bytes += int64(p.bytes)
	j.mu.Unlock()
	return j.pace(ctx, n, j.rate())
}

// put is Lanes.PutRows, again while the lane is full.
func (j *job) put(ctx context.Context, shard int, drop []store.RowKey, rows *store.Rows, size int) error {
	for {
		err := j.cfg.Lanes.PutRows(ctx, j.term(shard), drop, rows, size)
		var e *chat.Error
		if !errors.As(err, &e) || e.Kind != chat.Busy {
			return err
		}
		wait(ctx, time.Duration(e.RetryAfter)*time.Millisecond)
		if ctx.Err() != nil {
			return err
		}
	}
}

// estimate is about how many rows there are to copy: rooms say how many members and
// messages they have.
func (j *job) estimate(ctx context.Context) (total int64, err error) {
	for slot := range j.slots.All() {
		for after := (store.RowKey{}); ; {
			rows, next, err := j.source.SlotRows(ctx, slot, after, j.cfg.PageRows, j.cfg.PageBytes)
			if err != nil {
				return 0, err
			}
			if err := j.pace(ctx, 0, 0); err != nil {
				return 0, err
			}
			for i := range rows.Rooms {
				total += 1 + 2*int64(rows.Rooms[i].Members) + int64(rows.Rooms[i].LastSeq)
			}
			if after = next; next.Table != store.TableRooms { // they come first
				break
			}
		}
	}
	return total, nil
}

// clean deletes what a shard that is not the owner has of the slots, and ends the move.
func (j *job) clean(ctx context.Context, shard int, end store.MovePhase) error {
	if err := j.drop(ctx, shard); err != nil {
		return err
	}
	return j.enter(end)
}

// drop deletes the rows of the slots from a shard that does not own them.
func (j *job) drop(ctx context.Context, shard int) error {
	if err := j.cfg.Lanes.Barrier(ctx, j.term(shard), nil); err != nil { // rows that may still be on their way
		return err
	}
	for slot := range j.slots.All() {
		for {
			if j.cfg.Store.ShardOf(slot) == shard {
				return chat.E(chat.Internal, "rows of the owner of a slot would have been deleted")
			}
			rows, _, err := j.cfg.Store.Shards()[shard].SlotRows(ctx, slot, store.RowKey{}, j.cfg.PageRows, j.cfg.PageBytes)
			if err != nil {
				return err
			}
			keys := rows.Keys()
			if len(keys) == 0 {
				if err := j.pace(ctx, 0, 0); err != nil {
					return err
				}
				break
			}
			crashpoint.Hit("move-before-drop")
			if err := j.put(ctx, shard, keys, nil, 64*len(keys)); err != nil {
				return err
			}
			crashpoint.Hit("move-after-drop")
			j.mu.Lock()
			j.mv.Deleted += int64(len(keys))
			j.mu.Unlock()
			if err := j.pace(ctx, len(keys), j.rate()); err != nil {
				return err
			}
		}
	}
	return nil
}
