package mover_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/mover"
	"github.com/roomtide/roomtide/store"
)

// One room goes to the other shard and back, with everything in it.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2).open()
	const room = chat.RoomID("town")
	w.must(&change.SetRoom{Room: room, Server: true, Create: &change.RoomSpec{Open: true, Title: "Town"}})
	for _, u := range []chat.UserID{"ann", "bob"} {
		w.must(&change.Join{Room: room, User: u})
	}
	const messages = 450 // some pages
	w.sendMany(room, "ann", messages)
	w.must(&change.React{Room: room, Seq: 5, User: "bob", Emoji: "👍", On: true})
	slots := slotsOf(room)
	from := w.store.ShardOf(room.Slot())
	before := w.rows(shard(from), slots)
	if before.Len() < messages {
		t.Fatal(before.Len())
	}

	for range 2 {
		to := 1 - from
		s := w.move(slots, shard(to))
		if got := w.rows(shard(to), slots); !reflect.DeepEqual(got, before) {
			t.Errorf("%d rows arrived of %d", got.Len(), before.Len())
		}
		if left := w.rows(shard(from), slots); left.Len() > 0 {
			t.Errorf("%d rows are left", left.Len())
		}
		if s.Rows != int64(before.Len()) || s.Compared != s.Rows || s.Deleted != s.Rows || s.Bytes == 0 || s.Flipped == 0 || s.Ended == 0 {
			t.Errorf("%+v", s)
		}
		if got := w.store.ShardOf(room.Slot()); got != to {
			t.Errorf("the slot belongs to shard %d", got)
		}
		r := w.must(send(room, "bob", fmt.Sprint("again ", to), "after"))
		if r.Seq != chat.Seq(before.Messages[len(before.Messages)-1].Seq)+1 {
			t.Errorf("%+v", r)
		}
		w.must(&change.Delete{Room: room, Seq: r.Seq, User: "bob"})
		before = w.rows(shard(to), slots)
		w.whole()
		from = to
		w.must(&change.Read{Room: room, User: "ann", Seq: 3})
	}
	for _, s := range w.store.Shards() {
		cs, err := s.Cursors(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cs {
			if c.Consumer == mover.Cursor {
				t.Errorf("the cursor is left in %s", s.Name())
			}
		}
	}
	moves, err := w.store.Moves(t.Context())
	if err != nil || len(moves) != 2 || moves[1].Phase != store.MoveDone {
		t.Errorf("%+v %v", moves, err)
	}
}
