package lane

import (
	"context"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// What package mover needs of lanes: rows are written to the lane of the target as
// everything else is, the lane of the source notes what it writes in slots that move,
// and the changes of slots wait while they pass from one lane to the other.

// step is what an item does beside its change.
type step struct {
	drop   []store.RowKey
	put    *store.Rows
	flip   *store.Flip
	forget *store.SlotSet // rows that the cache forgets, after the batch
	after  func()         // runs at the end of the batch, which was published; it does not block
}

// addStep adds the rows and the mark of an item to the batch. There are the rows of one item at
// most (lane.putting).
func (b *batch) addStep(s *step) {
	switch {
	case s == nil:
	case s.flip != nil:
		b.flips = append(b.flips, *s.flip)
	case len(s.drop) > 0 || s.put != nil:
		b.drop, b.put = s.drop, s.put
	}
}

// finish does what an item has left to do at the end of a batch.
func (l *lane) finish(s *step) {
	if s == nil {
		return
	}
	if s.forget != nil {
		l.cache.forget(s.forget)
	}
	if s.after != nil {
		s.after()
	}
}

// Term is a stretch of time in which this node owns the lane of a shard, as one owner: what
// is done in a term is refused when it is over, also when this node owns the lane again.
type Term struct {
	Shard  int
	number int64
}

// Term returns the term of the shard's lane that goes on, false if this node does not own
// the lane.
func (ls *Lanes) Term(shard int) (Term, bool) {
	l := ls.lanes[shard]
	l.mu.Lock()
	defer l.mu.Unlock()
	return Term{shard, l.term}, !l.away
}

// PutRows deletes and then writes rows of slots that the shard does not own, in one
// commit, and returns when it is durable. They count as size bytes while they wait. If
// ctx ends first, the rows may still be written, before those of a later call; Busy
// says that nothing was or will be. Unavailable if the term is over.
func (ls *Lanes) PutRows(ctx context.Context, in Term, drop []store.RowKey, put *store.Rows, size int) error {
	const op = "lane.put_rows"
	l := ls.lanes[in.Shard]
	select {
	case l.putting <- struct{}{}:
	case <-ctx.Done():
		return gaveUp(ctx, op)
	}
	done := make(chan error, 1)
	it := item{change: &change.Nop{}, size: size, step: &step{drop: drop, put: put}, term: in.number}
	it.done = func(_ change.Reply, err error) { <-l.putting; done <- err }
	l.submitHere(it, slotsOf{})
	return wait(ctx, op, done)
}

// Flip marks in the outbox of the shard that slots pass to another one, and returns the position
// of the mark when it is durable. If ctx ends first, it may still be written. Unavailable if the
// term is over.
func (ls *Lanes) Flip(ctx context.Context, in Term, f store.Flip) (int64, error) {
	l, done, at := ls.lanes[in.Shard], make(chan error, 1), make(chan int64, 1)
	it := item{change: &change.Nop{}, term: in.number}
	it.step = &step{flip: &f, after: func() { at <- l.at.N; done <- nil }}
	it.done = func(_ change.Reply, err error) {
		if err != nil {
			done <- err
		}
	}
	l.submitHere(it, slotsOf{})
	if err := wait(ctx, "lane.flip", done); err != nil {
		return 0, err
	}
	return <-at, nil
}

// Barrier returns when everything that was submitted to the lane of the shard before
// is committed, answered and published, and the lane remembers nothing of the slots
// (nil: none) from before. What waits in a hold is not among it. Unavailable if the term is
// over.
func (ls *Lanes) Barrier(ctx context.Context, in Term, forget *store.SlotSet) error {
	done := make(chan error, 1)
	it := item{change: &change.Nop{}, step: &step{forget: forget, after: func() { done <- nil }}, term: in.number}
	it.done = func(_ change.Reply, err error) {
		if err != nil {
			done <- err
		}
	}
	ls.lanes[in.Shard].submitHere(it, slotsOf{})
	return wait(ctx, "lane.barrier", done)
}

func wait(ctx context.Context, op string, done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return gaveUp(ctx, op)
	}
}

func gaveUp(ctx context.Context, op string) error {
	return &chat.Error{Kind: chat.Unavailable, Op: op, Text: "gave up waiting", Err: ctx.Err()}
}

// Note has the lane of the shard name the rows that it writes in the slots in its
// outbox entries, or nothing any more if slots is nil. It returns when all commits
// without these names are there to read. Unavailable if the term is over.
func (ls *Lanes) Note(ctx context.Context, in Term, slots *store.SlotSet) error {
	l := ls.lanes[in.Shard]
	l.mu.Lock()
	if l.term == in.number {
		l.moving.Store(slots)
	}
	l.mu.Unlock()
	return ls.Barrier(ctx, in, nil)
}

// Notes reports whether the lane has named the rows that it writes in the slots since it
// began, or since Note.
func (ls *Lanes) Notes(in Term, slots *store.SlotSet) bool {
	l := ls.lanes[in.Shard]
	l.mu.Lock()
	defer l.mu.Unlock()
	noted := l.moving.Load()
	return l.term == in.number && noted != nil && *noted == *slots
}

// SaveCursor writes a cursor of the lane's outbox, and returns when it is committed. If
// ctx ends first, that may still happen. Unavailable if the term is over.
func (ls *Lanes) SaveCursor(ctx context.Context, in Term, c store.Cursor) error {
	done := make(chan error, 1)
	it := item{change: &change.Cursors{Cursors: []change.Cursor{change.Cursor(c)}}, term: in.number}
	it.done = func(_ change.Reply, err error) { done <- err }
	ls.lanes[in.Shard].submitHere(it, slotsOf{})
	return wait(ctx, "lane.save_cursor", done)
}

// settleMoves has lanes that were acquired, and have not begun, note what moves go on, as
// the records say. Where several nodes move slots it also has a move fail that an earlier
// owner may be about to finish: what this one writes would be missing in the target. The
// slot map is in force behind it that says which slots the lanes own.
func (ls *Lanes) settleMoves(ctx context.Context, lanes ...*lane) error {
	if ls.store.Control == nil {
		return nil
	}
	moves, err := ls.store.Moves(ctx)
	if err != nil {
		return err
	}
	found := false
	for _, l := range lanes {
		l.moving.Store(nil)
		for _, m := range moves {
			if m.Phase.Follows() && ls.store.Shards()[l.shard].Name() == m.From {
				l.moving.Store(&m.Slots)
				found = true
			}
		}
	}
	switch {
	case ls.cfg.Cluster == nil:
		return nil
	case found:
		return ls.store.Confirm(ctx)
	}
	return ls.store.Reload(ctx)
}

// writtenKeys are the keys of rows of the slots that ch writes or deletes; nil without
// any.
func writtenKeys(ch *store.Changes, slots *store.SlotSet) []store.RowKey {
	if slots == nil {
		return nil
	}
	w := written{slots: slots}
	addKeys(&w, ch.Rooms)
	addKeys(&w, ch.Members)
	addKeys(&w, ch.Insert)
	addKeys(&w, ch.Update)
	addKeys(&w, ch.Reactions)
	for _, m := range ch.Unreact {
		w.add(store.RowKey{Table: store.TableReactions, ID: string(m.Room), Seq: m.Seq})
	}
	addKeys(&w, ch.UserRooms)
	addKeys(&w, ch.Users)
	addKeys(&w, ch.Access)
	addKeys(&w, ch.Devices)
	addKeys(&w, ch.PushSettings)
	addKeys(&w, ch.PushJobs)
	addKeys(&w, ch.PushOwners)
	addKeys(&w, ch.UserNodes)
	for _, k := range ch.Delete {
		w.add(k)
	}
	for i := range ch.Online {
		if k := store.KeyOf(&ch.Online[i]); k.ID == "" { // all entries of a node, in any slot
			w.keys = append(w.keys, k)
		} else {
			w.add(k)
		}
	}
	for _, r := range ch.Removals {
		w.addRemoval(r)
	}
	return w.keys
}

// written collects keys of some slots.
type written struct {
	slots *store.SlotSet
	keys  []store.RowKey
}

func (w *written) add(k store.RowKey) {
	if w.slots.Has(k.Slot()) {
		w.keys = append(w.keys, k)
	}
}

func addKeys[R store.Row](w *written, rows []R) {
	for i := range rows {
		w.add(store.KeyOf(&rows[i]))
	}
}

func (w *written) addRemoval(r *store.Removal) {
	addKeys(w, r.Members)
	for _, k := range r.Reactions {
		w.add(store.RowKey{Table: store.TableReactions, ID: string(k.Room), Seq: k.Seq, A: k.Emoji, B: string(k.User)})
	}
	if r.To > 0 {
		for seq := r.From; seq <= r.To; seq++ {
			w.add(store.RowKey{Table: store.TableMessages, ID: string(r.Room), Seq: seq})
		}
	}
	for _, e := range r.Online {
		w.add(store.RowKey{Table: store.TableOnline, ID: string(r.Room), A: string(e.User), B: e.Node})
	}
}
