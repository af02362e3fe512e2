package lane_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/store"
)

// outcomes collects what comes of changes that are submitted.
type outcomes struct {
	mu   sync.Mutex
	wg   sync.WaitGroup
	seqs []chat.Seq
	errs []error
}

func (o *outcomes) submit(w *world, c change.Change) {
	o.wg.Add(1)
	w.lanes.Submit(c, func(r change.Reply, err error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if err != nil {
			o.errs = append(o.errs, err)
		} else {
			o.seqs = append(o.seqs, r.Seq)
		}
		o.wg.Done()
	})
}

func (o *outcomes) count() (done, failed int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.seqs), len(o.errs)
}

// term is the term of a lane of this node.
func (w *world) term(shard int) lane.Term {
	w.t.Helper()
	term, owned := w.lanes.Term(shard)
	if !owned {
		w.t.Fatal("the lane is not owned")
	}
	return term
}

// handOver makes the other shard the owner of the room, with its rows, while changes
// wait.
func (w *world) handOver(room chat.RoomID) (from, to int) {
	w.t.Helper()
	from = w.store.ShardOf(room.Slot())
	to = 1 - from
	slots := &store.SlotSet{}
	slots.Add(room.Slot())
	w.lanes.Hold(slots, from, to)
	if err := w.lanes.Barrier(w.t.Context(), w.term(from), nil); err != nil {
		w.t.Fatal(err)
	}
	rows, _, err := w.store.Shards()[from].SlotRows(w.t.Context(), room.Slot(), store.RowKey{}, 1000, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, err := range []error{
		w.lanes.PutRows(w.t.Context(), w.term(to), nil, rows, rows.Size()),
		w.store.Assign(w.t.Context(), slots, to, w.store.MapVersion()),
		w.lanes.Barrier(w.t.Context(), w.term(from), slots),
		w.lanes.PutRows(w.t.Context(), w.term(from), rows.Keys(), nil, 0),
	} {
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return from, to
}

// What comes while slots change hands waits, goes on in the other lane, and keeps its
// order with what comes behind it.
func TestChangesWaitWhileTheirSlotChangesHands(t *testing.T) {
	w := newWorld(t)
	const room = chat.RoomID("town")
	w.join(room, "ann")
	other := otherRoom(w, room)
	w.join(other, "ann")

	var o outcomes
	w.must(send(room, "ann", "1", "1"))
	from, to := w.handOver(room) // holds
	for n := 2; n <= 40; n++ {
		o.submit(w, send(room, "ann", fmt.Sprint(n), fmt.Sprint(n)))
	}
	if w.lanes.Held() != 39 {
		t.Errorf("%d changes wait", w.lanes.Held())
	}
	w.must(send(other, "ann", "1", "not held")) // rooms of other slots go on
	if done, failed := o.count(); done+failed > 0 {
		t.Fatalf("%d were done, %d failed while they should have waited", done, failed)
	}
	w.lanes.Release()
	o.submit(w, send(room, "ann", "41", "41"))
	o.wg.Wait()
	var want []chat.Seq
	for seq := chat.Seq(2); seq <= 41; seq++ {
		want = append(want, seq)
	}
	if len(o.errs) > 0 || !slices.Equal(o.seqs, want) {
		t.Errorf("%v, %v", o.seqs, o.errs)
	}
	for n, ev := range w.published(room)[1:] {
		if ev.Message == nil || ev.Message.Seq != chat.Seq(n+1) {
			t.Fatalf("event %d is %+v", n, ev)
		}
	}
	for shard, want := range map[int]int{from: 0, to: 41} {
		rows, _, err := w.store.Shards()[shard].SlotRows(t.Context(), room.Slot(), store.RowKey{}, 1000, 0)
		if err != nil || len(rows.Messages) != want {
			t.Errorf("shard %d has %d messages, %v", shard, len(rows.Messages), err)
		}
	}

	// And back: the first lane remembers nothing from before.
	w.handOver(room)
	w.lanes.Release()
	if r := w.must(send(room, "ann", "42", "42")); r.Seq != 42 {
		t.Errorf("%+v", r)
	}
	if lines, err := w.store.Check(t.Context()); err != nil || len(lines) > 0 {
		t.Errorf("%v %v", lines, err)
	}
}

// otherRoom is a room of the same shard and another slot.
func otherRoom(w *world, room chat.RoomID) chat.RoomID {
	for n := 0; ; n++ {
		id := chat.RoomID(fmt.Sprint("other ", n))
		if id.Slot() != room.Slot() && w.store.ShardOf(id.Slot()) == w.store.ShardOf(room.Slot()) {
			return id
		}
	}
}

// A hold that is given up hands everything back to the lane that had it.
func TestHoldIsGivenUp(t *testing.T) {
	w := newWorld(t)
	const room = chat.RoomID("town")
	w.join(room, "ann")
	from := w.store.ShardOf(room.Slot())
	w.lanes.Hold(slotSet(room), from, 1-from)
	var o outcomes
	for n := range 10 {
		o.submit(w, send(room, "ann", fmt.Sprint(n), "x"))
	}
	w.lanes.Release()
	w.lanes.Release() // there is none
	o.wg.Wait()
	if !slices.IsSorted(o.seqs) || len(o.seqs) != 10 {
		t.Errorf("%v %v", o.seqs, o.errs)
	}
}

func slotSet(rooms ...chat.RoomID) *store.SlotSet {
	s := &store.SlotSet{}
	for _, r := range rooms {
		s.Add(r.Slot())
	}
	return s
}

// As many changes wait in a hold as in a lane; more are refused with Busy, as always.
func TestHoldIsBounded(t *testing.T) {
	w := newWorld(t)
	const room = chat.RoomID("town")
	w.join(room, "ann")
	from := w.store.ShardOf(room.Slot())
	w.lanes.Hold(slotSet(room), from, 1-from)
	var o outcomes
	for n := range 70 { // MaxWaiting is 64
		o.submit(w, send(room, "ann", fmt.Sprint(n), "x"))
	}
	_, refused := o.count()
	if refused != 6 {
		t.Errorf("%d were refused", refused)
	}
	for _, err := range o.errs {
		var e *chat.Error
		if !errors.As(err, &e) || !change.IsFull(err) || e.RetryAfter == 0 {
			t.Errorf("%v", err)
		}
	}
	w.lanes.Release()
	o.wg.Wait()
	if len(o.seqs) != 64 {
		t.Errorf("%d were done", len(o.seqs))
	}
}

// When it is not known which lane owns the slots, nothing that waits is done, now or
// later.
func TestRefuse(t *testing.T) {
	w := newWorld(t)
	const room = chat.RoomID("town")
	w.join(room, "ann")
	from := w.store.ShardOf(room.Slot())
	w.lanes.Hold(slotSet(room), from, 1-from)
	var o outcomes
	o.submit(w, send(room, "ann", "1", "x"))
	w.lanes.Refuse()
	w.lanes.Release()
	o.submit(w, send(room, "ann", "2", "x"))
	o.wg.Wait()
	if len(o.seqs) > 0 || len(o.errs) != 2 {
		t.Errorf("%v %v", o.seqs, o.errs)
	}
	for _, err := range o.errs {
		wantKind(t, err, chat.Unavailable)
	}
	if r, err := w.store.Room(room).Room(t.Context(), room); err != nil || r.LastSeq != 0 {
		t.Errorf("%+v %v", r, err)
	}
}

// Lanes that end while changes are held commit them first.
func TestCloseEndsAHold(t *testing.T) {
	w := newWorld(t)
	const room = chat.RoomID("town")
	w.join(room, "ann")
	from := w.store.ShardOf(room.Slot())
	w.lanes.Hold(slotSet(room), from, 1-from)
	var o outcomes
	o.submit(w, send(room, "ann", "1", "x"))
	w.lanes.Close()
	o.wg.Wait()
	if len(o.seqs) != 1 {
		t.Errorf("%v %v", o.seqs, o.errs)
	}
}

// Entries of online users of rooms that have moved meanwhile are noted where the rooms
// are, and they wait if the rooms are held. All entries of a node are removed from both
// shards: those of rooms that are held may be in the other one by now.
func TestOnlineFollowsTheRooms(t *testing.T) {
	w := newWorld(t)
	const room = chat.RoomID("town")
	stays := otherRoom(w, room)
	w.join(room, "ann")
	w.join(stays, "ann")
	before := &change.Online{At: room.Slot(), Changes: []change.OnlineChange{{Room: room, User: "ann", Node: "gone", On: true}}}
	w.must(before)
	from, to := w.handOver(room)
	online := func(shard int) chan error {
		done := make(chan error, 1)
		w.lanes.SubmitTo(shard, &change.Online{Changes: []change.OnlineChange{
			{Node: "gone"}, {Room: room, User: "ann", Node: "n", On: true}, {Room: stays, User: "ann", Node: "n", On: true},
		}}, func(_ change.Reply, err error) { done <- err })
		return done
	}
	held := online(from)     // by the map from before
	if w.lanes.Held() != 2 { // the node that is gone, and the room
		t.Errorf("%d changes wait", w.lanes.Held())
	}
	w.lanes.Release()
	for _, done := range []chan error{held, online(from)} {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for shard, want := range map[int]chat.RoomID{to: room, from: stays} {
		for _, id := range []chat.RoomID{room, stays} {
			entries, err := w.store.Shards()[shard].Online(t.Context(), id, 10)
			if err != nil || (len(entries) == 1) != (id == want) {
				t.Errorf("shard %d, %s: %v %v", shard, id, entries, err)
			}
		}
	}
}

// The lane names in its outbox every row that it writes or deletes in the slots, and
// none of others; without slots that move, none.
func TestWrittenRowsAreNamed(t *testing.T) {
	w := newWorld(t)
	const room, user = chat.RoomID("town"), chat.UserID("ann")
	shard := w.store.ShardOf(room.Slot())
	var at int64
	named := func(what string, c change.Change, want ...store.RowKey) {
		t.Helper()
		w.must(c)
		entries, err := w.store.Shards()[w.store.ShardOf(c.Slot())].Outbox(t.Context(), 0, at, 10)
		if err != nil {
			t.Fatal(err)
		}
		var got []store.RowKey
		for _, e := range entries {
			got, at = append(got, e.Keys...), e.Position
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
		}
	}
	key := func(table store.Table, seq chat.Seq, texts ...string) store.RowKey {
		k := store.RowKey{Table: table, ID: string(room), Seq: seq}
		if len(texts) > 0 {
			k.A = texts[0]
		}
		if len(texts) > 1 {
			k.B = texts[1]
		}
		return k
	}
	w.join(room, user, "bob")
	named("before", send(room, user, "0", "x"))
	if err := w.lanes.Note(t.Context(), w.term(shard), slotSet(room)); err != nil {
		t.Fatal(err)
	}
	r := key(store.TableRooms, 0)
	named("send", send(room, user, "1", "x"), r, key(store.TableMessages, 2))
	named("edit", &change.Edit{Room: room, User: user, Seq: 2, Text: "y"}, r, key(store.TableMessages, 2))
	named("react", &change.React{Room: room, User: user, Seq: 2, Emoji: "👍", On: true}, r, key(store.TableMessages, 2), key(store.TableReactions, 2, "👍", "ann"))
	named("delete", &change.Delete{Room: room, User: user, Seq: 2}, r, key(store.TableMessages, 2), key(store.TableReactions, 2))
	named("a node that is gone", &change.Online{At: room.Slot(), Changes: []change.OnlineChange{{Node: "n"}}}, store.RowKey{Table: store.TableOnline, B: "n"})
	named("leave", &change.Leave{Room: room, User: user}, r, key(store.TableMembers, 0, "ann"))
	named("nothing", &change.Leave{Room: room, User: user})
	named("delete room", &change.DeleteRoom{Room: room, Server: true}, r)
	named("members", &change.RemoveRoom{Room: room}, r, key(store.TableMembers, 0, "ann"), key(store.TableMembers, 0, "bob"))
	named("messages", &change.RemoveRoom{Room: room}, r, key(store.TableMessages, 1), key(store.TableMessages, 2))

	other := otherRoom(w, room)
	named("another slot", &change.Join{Room: other, User: "bob", Create: &change.RoomSpec{Open: true}})
	if err := w.lanes.Note(t.Context(), w.term(shard), nil); err != nil {
		t.Fatal(err)
	}
	named("behind", &change.RemoveRoom{Room: room})
}

// The rows of users are named too, though their commits change no room; and lanes that
// are opened while a move is recorded name them from the first commit on.
func TestRowsOfUsersAreNamedFromTheStart(t *testing.T) {
	w := newWorld(t)
	const user = chat.UserID("ann")
	shard := w.store.ShardOf(user.Slot())
	move := &store.Move{ID: 1, From: w.store.Shards()[shard].Name(), To: w.store.Shards()[1-shard].Name(), Phase: store.MoveFollowing}
	move.Slots.Add(user.Slot())
	if err := w.store.Control.SaveMove(t.Context(), move.Encode(), nil); err != nil {
		t.Fatal(err)
	}
	w.close()
	w.open()
	name := "Ann"
	w.must(&change.Access{User: user, NotBefore: 5})
	w.must(&change.SetUser{User: user, Name: &name})
	w.must(&change.Read{User: user, Room: "town", Seq: 1})
	entries, err := w.store.Shards()[shard].Outbox(t.Context(), 0, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []store.RowKey
	for _, e := range entries {
		got = append(got, e.Keys...)
	}
	want := []store.RowKey{
		{Table: store.TableAccess, ID: "ann"}, {Table: store.TableUsers, ID: "ann"}, {Table: store.TableUserRooms, ID: "ann", A: "town"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}
