package lane

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// What the consumers of the outbox (package outbox) need of a lane: it says that
// there is something to read, and writes their cursors.

// Notify has c told of each commit of the shard that leaves an outbox entry, from
// now on. The lane does not wait: a signal that does not fit into c is dropped, so
// that c, with room for one, says that there was a commit since it was last read.
func (ls *Lanes) Notify(shard int, c chan<- struct{}) { ls.lanes[shard].committed.entries.add(c) }

// Forget undoes Notify.
func (ls *Lanes) Forget(shard int, c chan<- struct{}) { ls.lanes[shard].committed.entries.remove(c) }

// NotifyJobs is Notify for commits that write push jobs, or rows that have moved here.
func (ls *Lanes) NotifyJobs(shard int, c chan<- struct{}) { ls.lanes[shard].committed.jobs.add(c) }

// ForgetJobs undoes NotifyJobs.
func (ls *Lanes) ForgetJobs(shard int, c chan<- struct{}) { ls.lanes[shard].committed.jobs.remove(c) }

// Position returns how far the shard's lane has committed: an entry at or before
// it is there to read.
func (ls *Lanes) Position(shard int) int64 { return ls.lanes[shard].committed.position.Load() }

// SaveCursors writes cursors of the shard, and returns when they are committed. If
// ctx ends first, that may still happen.
func (ls *Lanes) SaveCursors(ctx context.Context, shard int, cursors ...store.Cursor) error {
	done := make(chan error, 1)
	c := &change.Cursors{Cursors: make([]change.Cursor, len(cursors))}
	for i, cursor := range cursors {
		c.Cursors[i] = change.Cursor(cursor)
	}
	ls.SubmitTo(shard, c, func(_ change.Reply, err error) { done <- err })
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

// committed is how far a lane has committed, and where that is signalled.
type committed struct {
	position atomic.Int64
	entries  listeners // of commits that leave an outbox entry
	jobs     listeners // of commits that write push jobs
}

// signal tells the listeners what the commit of ch has left for them.
func (c *committed) signal(ch *store.Changes) {
	if ch.Outbox != nil {
		c.entries.signal()
	}
	if len(ch.PushJobs) > 0 || ch.Put != nil {
		c.jobs.signal()
	}
}

// listeners are channels with room for one signal each.
type listeners struct {
	mu  sync.Mutex
	all []chan<- struct{} // guarded by mu
}

func (ls *listeners) add(c chan<- struct{}) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.all = append(ls.all, c)
}

func (ls *listeners) remove(c chan<- struct{}) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.all = slices.DeleteFunc(ls.all, func(l chan<- struct{}) bool { return l == c })
}

func (ls *listeners) signal() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.all {
		select {
		case l <- struct{}{}:
		default:
		}
	}
}

// entry returns what the batch tells the consumers of the outbox, nil if no room, no
// name and no row of a slot that moves (keys) has changed, and no change follows.
func (b *batch) entry(keys []store.RowKey) *store.Entry {
	if len(b.touched)+len(b.renamed)+len(keys)+len(b.onward) == 0 {
		return nil
	}
	e := &store.Entry{Rooms: make([]store.RoomSpan, len(b.touched)), Users: b.renamed, Keys: keys, Onward: b.onward}
	for i, r := range b.touched {
		r.span = &e.Rooms[i]
		*r.span = store.RoomSpan{Room: r.ID, From: r.from + 1, To: r.from, Seq: r.LastSeq}
		for _, ev := range r.events {
			kind, seq := ev.Kind, ev.Seq
			switch {
			case ev.Message != nil:
				seq = ev.Message.Seq
			case kind == chat.EventMembers:
				kind = chat.EventMember // told together, changed one by one
			}
			for range ev.Rev - ev.After() {
				r.span.Add(kind, seq)
			}
		}
	}
	for id, r := range b.removals {
		span := b.rooms[id].span
		for _, m := range r.Members {
			m.Role, m.Rev = chat.RoleNone, b.rooms[id].Rev
			span.Members = append(span.Members, m)
		}
	}
	for _, k := range b.changedM {
		span := b.rooms[k.Room].span
		span.Members = append(span.Members, *b.members[k])
	}
	return e
}
