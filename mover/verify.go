package mover

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

const (
	// mayDiffer is how many rows that were written meanwhile are left for the time
	// in which changes wait.
	mayDiffer = 200
	// settleAt is how many of them are compared before the next page.
	settleAt = 5000
	// differsFor is how often a row that nothing has changed may be found different
	// before it is: it may have been read while it was being followed.
	differsFor = 3
)

// verify compares all rows of the slots, as both shards have them, while writes go on.
// Rows that differ are compared again behind what was written meanwhile.
func (j *job) verify(ctx context.Context) error {
	j.unequal = map[store.RowKey]int{}
	j.mu.Lock()
	j.mv.Compared = 0
	j.mu.Unlock()
	rows, last := 0, time.Now() // since the last follow
	for slot := range j.slots.All() {
		for after := (store.RowKey{}); ; {
			next, n, err := j.comparePage(ctx, slot, after)
			if err != nil {
				return err
			}
			if err := j.pace(ctx, n, j.rate()); err != nil {
				return err
			}
			if rows += n; time.Since(last) >= j.cfg.FollowEvery {
				if err := j.compared(ctx, rows); err != nil {
					return err
				}
				rows, last = 0, time.Now()
			}
			if after = next; next == (store.RowKey{}) {
				break
			}
		}
	}
	if err := j.compared(ctx, rows); err != nil {
		return err
	}
	if err := j.settleDown(ctx, mayDiffer); err != nil {
		return err
	}
	return j.enter(store.MoveHolding)
}

// compared counts rows that were compared, and follows.
func (j *job) compared(ctx context.Context, n int) error {
	j.mu.Lock()
	j.mv.Compared += int64(n)
	j.mu.Unlock()
	if err := j.follow(ctx, nil); err != nil {
		return err
	}
	if len(j.unequal) > settleAt {
		return j.settleDown(ctx, settleAt/2)
	}
	return nil
}

// settleDown follows and compares until at most so many rows differ. It makes no pauses:
// it has to be faster than the source is written.
func (j *job) settleDown(ctx context.Context, most int) error {
	j.hurry = true
	defer func() { j.hurry = false }()
	for {
		if err := j.follow(ctx, nil); err != nil {
			return err
		}
		if err := j.compareUnequal(ctx); err != nil {
			return err
		}
		if len(j.unequal) <= most {
			return nil
		}
	}
}

// comparePage compares the rows of a slot behind a key, up to where both shards were
// read. next is the zero RowKey at the end.
func (j *job) comparePage(ctx context.Context, slot chat.Slot, after store.RowKey) (next store.RowKey, n int, err error) {
	var pages [2]*store.Rows
	for i, s := range []*store.Shard{j.source, j.target} {
		rows, end, err := s.SlotRows(ctx, slot, after, j.cfg.PageRows, j.cfg.PageBytes)
		if err != nil {
			return next, 0, err
		}
		pages[i] = rows
		if end != (store.RowKey{}) && (next == (store.RowKey{}) || end.Compare(next) < 0) {
			next = end
		}
	}
	upTo := func(k store.RowKey) bool { return next == (store.RowKey{}) || k.Compare(next) <= 0 }
	for k := range different(pages[0], pages[1]) {
		if upTo(k) {
			if _, known := j.unequal[k]; !known {
				j.unequal[k] = 0
			}
		}
	}
	for _, k := range pages[0].Keys() {
		if upTo(k) {
			n++
		}
	}
	return next, n, nil
}

// compareUnequal compares the rows again that differed, or that were written since.
func (j *job) compareUnequal(ctx context.Context) error {
	keys := make([]store.RowKey, 0, len(j.unequal))
	for k := range j.unequal {
		keys = append(keys, k)
	}
	for chunk := range slices.Chunk(keys, j.cfg.PageRows) {
		spelled, err := j.spelledOut(ctx, chunk)
		if err != nil {
			return err
		}
		target, err := j.target.RowsByKey(ctx, spelled)
		if err != nil {
			return err
		}
		source, err := j.source.RowsByKey(ctx, spelled)
		if err != nil {
			return err
		}
		for _, k := range chunk {
			if stands(k) {
				delete(j.unequal, k)
			}
		}
		differ := different(source, target)
		for _, k := range spelled {
			if !differ[k] {
				delete(j.unequal, k)
				continue
			}
			if j.unequal[k]++; j.unequal[k] >= differsFor {
				return &mismatch{k}
			}
		}
	}
	return nil
}

// different are the keys of rows that are in one of a and b, or not the same in both.
func different(a, b *store.Rows) map[store.RowKey]bool {
	out := map[store.RowKey]bool{}
	differ(out, a.Rooms, b.Rooms, same)
	differ(out, a.Members, b.Members, same)
	differ(out, a.Messages, b.Messages, sameMessage)
	differ(out, a.Reactions, b.Reactions, same)
	differ(out, a.Online, b.Online, same)
	differ(out, a.UserRooms, b.UserRooms, same)
	differ(out, a.Users, b.Users, same)
	differ(out, a.Access, b.Access, same)
	differ(out, a.Devices, b.Devices, same)
	differ(out, a.PushSettings, b.PushSettings, same)
	differ(out, a.PushJobs, b.PushJobs, same)
	differ(out, a.PushOwners, b.PushOwners, same)
	differ(out, a.UserNodes, b.UserNodes, same)
	return out
}

func differ[R store.Row](out map[store.RowKey]bool, a, b []R, equal func(x, y *R) bool) {
	if len(a)+len(b) == 0 {
		return
	}
	at := make(map[store.RowKey]int, len(b))
	for i := range b {
		at[store.KeyOf(&b[i])] = i
	}
	for i := range a {
		k := store.KeyOf(&a[i])
		if n, ok := at[k]; !ok || !equal(&a[i], &b[n]) {
			out[k] = true
		}
		delete(at, k)
	}
	for k := range at {
		out[k] = true
	}
}

func same[R comparable](a, b *R) bool { return *a == *b }

func sameMessage(a, b *chat.Message) bool {
	return bytes.Equal(a.Data, b.Data) && (a.Data == nil) == (b.Data == nil) &&
		a.Room == b.Room && a.Seq == b.Seq && a.Rev == b.Rev && a.Created == b.Created && a.User == b.User && a.Name == b.Name &&
		a.Text == b.Text && a.Time == b.Time && a.Key == b.Key && a.Digest == b.Digest && a.ReplyTo == b.ReplyTo && slices.Equal(a.Mentions, b.Mentions) &&
		a.Edited == b.Edited && a.Deleted == b.Deleted
}
