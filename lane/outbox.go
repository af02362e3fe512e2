package lane

import (
	"context"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// What the consumers of the outbox (package outbox) need of a lane: it says that
// there is something to read, and writes their cursors.

// Notify has c told of each commit of the shard that leaves an outbox entry, from
// now on. The lane does not wait: a signal that does not fit into c is dropped, so
// that c, with room for one, says that there was a commit since it was last read.
func (ls *Lanes) Notify(shard int, c chan<- struct{}) { ls.lanes[shard].committed.told.add(c) }

// Forget undoes Notify.
func (ls *Lanes) Forget(shard int, c chan<- struct{}) { ls.lanes[shard].committed.told.remove(c) }

// NotifyJobs is Notify for commits that write push jobs, or rows that have moved here.
func (ls *Lanes) NotifyJobs(shard int, c chan<- struct{}) { ls.lanes[shard].committed.jobs.add(c) }

// ForgetJobs undoes NotifyJobs.
func (ls *Lanes) ForgetJobs(shard int, c chan<- struct{}) { ls.lanes[shard].committed.jobs.remove(c) }

// Position returns how far the shard's lane has committed: an entry at or before
// it is there to read.
func (ls *Lanes) Position(shard int) int64 { return ls.lanes[shard].committed.position.Load() }

// Recent returns up to limit entries of the outbox that follow the commit after, in order:
// the same that the database has. Nothing in them is written to: others read them too.
// False: the lane does not remember all of them, and the database has to be asked.
func (ls *Lanes) Recent(shard int, after int64, limit int) ([]store.Entry, bool) {
	return ls.lanes[shard].committed.recent(after, limit)
}

// SaveCursors writes cursors of the shard, and returns when they are committed. If
// ctx ends first, that may still happen.
func (ls *Lanes) SaveCursors(ctx context.Context, shard int, cursors ...store.Cursor) error {
	return saveCursors(ctx, cursors, func(c *change.Cursors, done change.Done) { ls.SubmitTo(shard, c, done) })
}

// ForwardCursors is SaveCursors by whichever node owns the lane.
func (ls *Lanes) ForwardCursors(ctx context.Context, shard int, cursors ...store.Cursor) error {
	cl := ls.cfg.Cluster
	if cl == nil {
		return ls.SaveCursors(ctx, shard, cursors...)
	}
	return saveCursors(ctx, cursors, func(c *change.Cursors, done change.Done) {
		for slot := range chat.Slot(chat.Slots) { // owners of older versions take them by a slot of the lane
			if ls.store.ShardOf(slot) == shard {
				c.At = slot
				break
			}
		}
		cl.Forward(shard, c, done)
	})
}

// saveCursors submits cursors, and waits.
func saveCursors(ctx context.Context, cursors []store.Cursor, submit func(c *change.Cursors, done change.Done)) error {
	done := make(chan error, 1)
	c := &change.Cursors{Cursors: make([]change.Cursor, len(cursors))}
	for i, cursor := range cursors {
		c.Cursors[i] = change.Cursor(cursor)
	}
	submit(c, func(_ change.Reply, err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return &chat.Error{Kind: chat.Unavailable, Op: "lane.save_cursors", Err: ctx.Err()}
	}
}

// Flush returns when everything submitted before it is decided, or when ctx ends.
func (ls *Lanes) Flush(ctx context.Context) {
	for shard := range ls.lanes {
		done := make(chan struct{})
		ls.SubmitTo(shard, &change.Nop{}, func(change.Reply, error) { close(done) })
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
}

// entry returns what the batch tells the consumers of the outbox, nil if no room, no
// name and no row of a slot that moves (keys) has changed, no change follows, no fact
// was found out, and no slots pass to another shard.
func (b *batch) entry(keys []store.RowKey) *store.Entry {
	if len(b.touched)+len(b.renamed)+len(keys)+len(b.onward)+len(b.facts)+len(b.flips) == 0 {
		return nil
	}
	e := &store.Entry{Time: b.now, Rooms: make([]store.RoomSpan, len(b.touched)), Users: b.renamed, Keys: keys, Onward: b.onward, Facts: b.facts, Flips: b.flips}
	for i, r := range b.touched {
		r.span = &e.Rooms[i]
		*r.span = r.told
		r.span.Seq = r.LastSeq
	}
	for id, r := range b.removals {
		span := b.rooms[id].span
		for _, m := range r.Members {
			span.Was = append(span.Was, m.At(b.now).Role)
			m.Role, m.Rev = chat.RoleNone, b.rooms[id].Rev
			span.Members = append(span.Members, m)
		}
	}
	for i, k := range b.changedM {
		span := b.rooms[k.Room].span
		span.Was = append(span.Was, b.rolesM[i])
		span.Members = append(span.Members, *b.members[k])
	}
	return e
}
