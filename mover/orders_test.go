package mover_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/mover"
	"github.com/roomtide/roomtide/store"
)

// town makes a room with messages and returns it and the shard that has it.
func (w *world) town(messages int) (room chat.RoomID, from int) {
	w.t.Helper()
	room = "town"
	w.must(&change.Join{Room: room, User: "ann", Create: &change.RoomSpec{Open: true}})
	w.sendMany(room, "ann", messages)
	return room, w.store.ShardOf(room.Slot())
}

// broken is a driver that fails as a test says.
type broken struct {
	store.Driver
	commit atomic.Pointer[func(*store.Changes) error] // before a commit; nil: none fails
	spoil  atomic.Pointer[func(*store.Rows)]          // what is read of slots
}

func (b *broken) Commit(ctx context.Context, lane store.LaneID, at store.Position, ch *store.Changes) error {
	if f := b.commit.Load(); f != nil {
		if err := (*f)(ch); err != nil {
			return err
		}
	}
	return b.Driver.Commit(ctx, lane, at, ch)
}

func (b *broken) SlotRows(ctx context.Context, slot chat.Slot, after store.RowKey, limit, bytes int) (*store.Rows, store.RowKey, error) {
	rows, next, err := b.Driver.SlotRows(ctx, slot, after, limit, bytes)
	if f := b.spoil.Load(); f != nil && err == nil {
		(*f)(rows)
	}
	return rows, next, err
}

func (b *broken) RowsByKey(ctx context.Context, keys []store.RowKey) (*store.Rows, error) {
	rows, err := b.Driver.RowsByKey(ctx, keys)
	if f := b.spoil.Load(); f != nil && err == nil {
		(*f)(rows)
	}
	return rows, err
}

// breaking has the world open its shards with something before the drivers.
func (w *world) breaking() *[2]*broken {
	shards, n := &[2]*broken{}, 0
	w.wrap = func(d store.Driver) store.Driver {
		shards[n%2] = &broken{Driver: d}
		n++
		return shards[(n-1)%2]
	}
	w.open()
	return shards
}

// empty is the one without rooms; drivers are opened in any order.
func (w *world) empty(shards *[2]*broken) *broken {
	w.t.Helper()
	for _, b := range shards {
		has, err := b.HasRooms(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		if !has {
			return b
		}
	}
	w.t.Fatal("both shards have rooms")
	return nil
}

// An abort deletes the copy, and the source serves as before; then the same slots can
// be moved.
func TestAbortLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.cfg.PageRows = 10
	w.open()
	room, from := w.town(100)
	slots := slotsOf(room)
	w.start(mover.Order{Slots: slots, To: []string{shard(1 - from)}, Rate: 200})
	w.eventually("rows in the target", func() bool { return w.rows(shard(1-from), slots).Len() > 0 })
	if err := w.mover.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := w.until(store.MoveAborted)
	if left := w.rows(shard(1-from), slots); left.Len() > 0 || s.Deleted == 0 {
		t.Errorf("%d rows are left; %+v", left.Len(), s)
	}
	w.must(send(room, "ann", "after", "x"))
	if err := w.mover.Abort(t.Context()); chat.KindOf(err) != chat.Conflict {
		t.Errorf("nothing is moving: %v", err)
	}
	w.move(slots, shard(1-from))
	if got := len(w.rows(shard(1-from), slots).Messages); got != 101 {
		t.Errorf("%d messages", got)
	}
	w.whole()
}

func TestPauseResumeAndRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.cfg.PageRows = 10
	w.open()
	room, from := w.town(200)
	w.start(mover.Order{Slots: slotsOf(room), To: []string{shard(1 - from)}, Rate: 100})
	w.eventually("rows copied", func() bool { return w.newest().Rows > 0 })
	if err := w.mover.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.close() // also over a restart
	w.open()
	at := w.mover.Moves(1)[0]
	if !at.Paused || at.Phase != store.MoveCopying || at.Rows == 0 || at.Rows >= 200 {
		t.Fatalf("%+v", at)
	}
	w.must(send(room, "ann", "meanwhile", "x"))
	if err := w.mover.SetRate(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if err := w.mover.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := w.until(store.MoveDone)
	if got := len(w.rows(shard(1-from), slotsOf(room)).Messages); got != 201 || s.Rate != 0 {
		t.Errorf("%d messages, %+v", got, s)
	}
	if err := errors.Join(w.mover.Pause(t.Context()), w.mover.Resume(t.Context()), w.mover.SetRate(t.Context(), 1)); chat.KindOf(err) != chat.Conflict {
		t.Errorf("nothing is moving: %v", err)
	}
	if err := w.mover.SetRate(t.Context(), -1); chat.KindOf(err) != chat.Invalid {
		t.Error(err)
	}
}

// Orders that make no sense say what to do.
func TestOrdersThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.cfg.Grace = time.Hour
	w.open()
	room, from := w.town(1)
	here, there, minus := shard(from), shard(1-from), -1
	for name, c := range map[string]struct {
		order mover.Order
		kind  chat.Kind
		says  string
	}{
		"nothing":       {mover.Order{}, chat.Invalid, "say which slots"},
		"no target":     {mover.Order{From: []string{here}}, chat.Invalid, "say which slots"},
		"no such shard": {mover.Order{From: []string{here}, To: []string{"x"}}, chat.NotFound, "this node has shard-0.db, shard-1.db"},
		"to itself":     {mover.Order{From: []string{here}, To: []string{here}}, chat.Invalid, "named twice"},
		"there already": {mover.Order{Slots: slotsOf(room), To: []string{here}}, chat.Invalid, "where they shall be"},
		"a rate":        {mover.Order{From: []string{here}, To: []string{there}, Rate: -1}, chat.Invalid, "rate"},
		"a time":        {mover.Order{From: []string{here}, To: []string{there}, Keep: &minus}, chat.Invalid, "keep"},
	} {
		_, err := w.mover.Start(t.Context(), c.order)
		if chat.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.start(mover.Order{Slots: slotsOf(room), To: []string{there}})
	w.until(store.MoveCleaning) // for an hour
	if _, err := w.mover.Start(t.Context(), mover.Order{Slots: slotsOf(room), To: []string{here}}); chat.KindOf(err) != chat.Conflict || !strings.Contains(err.Error(), "still to be deleted") {
		t.Errorf("back at once: %v", err)
	}
	if err := w.mover.Abort(t.Context()); chat.KindOf(err) != chat.Conflict || !strings.Contains(err.Error(), "already") {
		t.Errorf("abort behind the flip: %v", err)
	}
	other := &store.SlotSet{}
	other.Add((room.Slot() + 1) % chat.Slots)
	w.start(mover.Order{Slots: other, To: []string{shard(1 - w.store.ShardOf((room.Slot()+1)%chat.Slots))}, Rate: 1}) // other slots need not wait
}

// Several targets share the slots evenly, in moves of their own.
func TestSlotsAreSpread(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4).open()
	moves, err := w.mover.Start(t.Context(), mover.Order{From: []string{shard(0), shard(1)}, To: []string{shard(2), shard(3)}})
	if err != nil || len(moves) != 2 || moves[0].Slots != "0-255" || moves[1].Slots != "256-511" {
		t.Fatalf("%+v %v", moves, err)
	}
	if _, err := w.mover.Start(t.Context(), mover.Order{From: []string{shard(2)}, To: []string{shard(3)}}); chat.KindOf(err) != chat.Conflict {
		t.Error(err)
	}
	if err := w.mover.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.until(store.MoveAborted)
	few := &store.SlotSet{}
	for n := range chat.Slot(16) {
		few.Add(n)
		few.Add(256 + n)
	}
	if _, err := w.mover.Start(t.Context(), mover.Order{Slots: few, To: []string{shard(2), shard(3)}}); err != nil {
		t.Fatal(err)
	}
	w.eventually("all are over", func() bool {
		return !slices.ContainsFunc(w.mover.Moves(1), func(s mover.Status) bool { return !s.Phase.Over() })
	})
	var counts []int
	for _, s := range w.mover.Shards(t.Context()) {
		counts = append(counts, s.Count)
		if !s.Healthy || s.Size == nil {
			t.Errorf("%+v", s)
		}
	}
	if fmt.Sprint(counts) != "[240 240 272 272]" {
		t.Error(counts)
	}
}

// A copy that differs from the source is noticed: the source stays the owner, and the
// move says which room it is.
func TestADifferenceIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	shards := w.breaking()
	room, from := w.town(20)
	spoil := func(rows *store.Rows) {
		for i := range rows.Messages {
			if rows.Messages[i].Seq == 7 {
				rows.Messages[i].Text = "another"
			}
		}
	}
	w.empty(shards).spoil.Store(&spoil) // the target reads back something else
	w.start(mover.Order{Slots: slotsOf(room), To: []string{shard(1 - from)}})
	s := w.paused()
	if !strings.Contains(s.Error, `"town"`) || !strings.Contains(s.Error, "differs") || w.store.ShardOf(room.Slot()) != from {
		t.Errorf("%+v", s)
	}
	w.must(send(room, "ann", "after", "x"))
	if err := w.mover.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.until(store.MoveAborted)
}

func (w *world) paused() mover.Status {
	w.t.Helper()
	w.eventually("paused", func() bool { return w.newest().Paused })
	return w.newest()
}

// A target that is full stops the move, and nothing else; with space again it goes on.
func TestATargetThatIsFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	shards := w.breaking()
	room, from := w.town(20)
	full := func(ch *store.Changes) error {
		if ch.Put != nil {
			return chat.E(chat.ReadOnly, "the disk is full")
		}
		return nil
	}
	for _, b := range shards {
		b.commit.Store(&full)
	}
	w.start(mover.Order{Slots: slotsOf(room), To: []string{shard(1 - from)}})
	s := w.paused()
	if !strings.Contains(s.Error, "make space") || !strings.Contains(s.Error, "the disk is full") {
		t.Errorf("%+v", s)
	}
	w.must(send(room, "ann", "meanwhile", "x"))
	for _, b := range shards {
		b.commit.Store(nil)
	}
	if err := w.mover.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.until(store.MoveDone)
	w.whole()
}

// When the source needs longer for what it has than changes may wait, they go on there,
// and it is tried again. No send fails.
func TestAHoldThatTakesTooLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.cfg.HoldFor = 300 * time.Millisecond
	shards := w.breaking()
	room, from := w.town(20)
	var stalls atomic.Int32
	stall := func(ch *store.Changes) error {
		moves := w.mover.Moves(1)
		if len(ch.Insert) == 0 || len(moves) == 0 || !moves[0].Phase.Follows() || stalls.Load() == 2 { // before the slots are held
			return nil
		}
		if !poll(w.wait, func() bool { return w.lanes.Held() > 0 }) || !poll(w.wait, func() bool { return w.lanes.Held() == 0 }) {
			t.Error("changes were not held back, or that was not given up")
		}
		stalls.Add(1)
		return nil
	}
	for _, b := range shards {
		b.commit.Store(&stall)
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	var failed, sent atomic.Int32
	go func() {
		defer close(ended)
		for n := 0; ; n++ {
			w.lanes.Submit(send(room, "ann", fmt.Sprint("more ", n), "x"), func(_ change.Reply, err error) {
				if sent.Add(1); err != nil {
					failed.Add(1)
				}
			})
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	w.start(mover.Order{Slots: slotsOf(room), To: []string{shard(1 - from)}, Rate: 200}) // messages are sent meanwhile
	s := w.until(store.MoveDone)
	close(stop)
	<-ended
	if s.Holds < 3 || stalls.Load() != 2 || failed.Load() > 0 {
		t.Errorf("%d holds, %d stalls, %d of %d sends failed", s.Holds, stalls.Load(), failed.Load(), sent.Load())
	}
}

// differs begins to move a room, and returns when all of it is copied and the move has
// stopped, because the target read back something else. It does not any more then.
func (w *world) differs(shards *[2]*broken, room chat.RoomID, from int) mover.Status {
	w.t.Helper()
	spoil := func(rows *store.Rows) { rows.Messages = nil }
	target := w.empty(shards)
	target.spoil.Store(&spoil)
	w.start(mover.Order{Slots: slotsOf(room), To: []string{shard(1 - from)}})
	s := w.paused()
	target.spoil.Store(nil)
	return s
}

// The rate is that of copying and comparing. What is written meanwhile is followed at any
// rate: otherwise a room that is written to more often would never be moved.
func TestFollowingHasNoRate(t *testing.T) {
	t.Parallel()
	const messages = 400
	w := newWorld(t, 2)
	shards := w.breaking()
	room, from := w.town(messages)
	before := w.differs(shards, room, from)
	w.many(messages, func(i int) change.Change {
		return &change.Edit{Room: room, Seq: chat.Seq(i + 1), User: "ann", Text: "edited"}
	})
	if err := errors.Join(w.mover.SetRate(t.Context(), 1), w.mover.Resume(t.Context())); err != nil {
		t.Fatal(err)
	}
	w.eventually("all edits followed", func() bool { return w.newest().Followed >= before.Followed+messages })
	if err := w.mover.SetRate(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	w.until(store.MoveDone)
	w.whole()
}

// A node that is gone is told to both shards, to one before the other. What was copied of
// its entries meanwhile is removed too.
func TestANodeIsGoneMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	shards := w.breaking()
	room, from := w.town(20)
	online := func(shard int, c change.OnlineChange) {
		t.Helper()
		done := make(chan error, 1)
		w.lanes.SubmitTo(shard, &change.Online{Changes: []change.OnlineChange{c}}, func(_ change.Reply, err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for _, node := range []string{"gone", "stays"} {
		online(from, change.OnlineChange{Room: room, User: "ann", Node: node, On: true})
	}
	online(1-from, change.OnlineChange{Node: "gone"})
	w.differs(shards, room, from)
	online(from, change.OnlineChange{Node: "gone"})
	if err := w.mover.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.eventually("the move is over", func() bool { s := w.newest(); return s.Phase == store.MoveDone || s.Paused })
	entries, err := w.store.Room(room).Online(t.Context(), room, 10)
	if s := w.newest(); err != nil || s.Error != "" || len(entries) != 1 || entries[0].Node != "stays" {
		t.Errorf("%v, %v; %+v", entries, err, s)
	}
}

// recorder notices records that are saved at the same time, of which the older might be
// the one that is kept.
type recorder struct {
	store.Control
	saving  atomic.Int32
	overlap atomic.Int32
}

func (r *recorder) SaveMove(ctx context.Context, row store.MoveRow, was []byte) error {
	if r.saving.Add(1) > 1 {
		r.overlap.Add(1)
	}
	defer r.saving.Add(-1)
	runtime.Gosched()
	return r.Control.SaveMove(ctx, row, was)
}

// Orders come at any time; what is stored of a move is its newest state.
func TestOrdersWhileRecordsAreSaved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.cfg.PageRows = 10
	w.open()
	room, from := w.town(20)
	r := &recorder{Control: w.store.Control}
	w.store.Control = r
	for n := range 10 {
		w.start(mover.Order{Slots: slotsOf(room), To: []string{shard(1 - (from+n)%2)}})
		for orders := 0; orders < 20 && !w.newest().Phase.Over(); orders++ { // each one ends a step
			if err := w.mover.SetRate(t.Context(), 0); err != nil && chat.KindOf(err) != chat.Conflict {
				t.Fatal(err)
			}
		}
		w.until(store.MoveDone)
	}
	moves, err := w.store.Moves(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, mv := range moves {
		if mv.Phase != store.MoveDone {
			t.Errorf("move %d is done, and %s in its record", mv.ID, mv.Phase)
		}
	}
	if n := r.overlap.Load(); n > 0 {
		t.Errorf("%d records were saved while another was", n)
	}
}
