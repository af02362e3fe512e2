package lane_test

import (
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// Deletion, removal and a join under the same name, submitted at once: whatever
// falls into one batch, a row is only removed when the room was deleted before, and
// the room is only made again when nothing is left.
func TestDeletedRoomInOneBatch(t *testing.T) {
	w := newWorld(t)
	w.join("r", "ann", "bob")
	for range 5 {
		w.must(send("r", "bob", "", "x"))
	}
	type outcome struct {
		r   change.Reply
		err error
	}
	done := make(chan outcome, 60)
	submit := func(c change.Change) {
		w.lanes.Submit(c, func(r change.Reply, err error) { done <- outcome{r, err} })
	}
	submit(&change.DeleteRoom{Room: "r", By: "ann"})
	for range 29 {
		submit(&change.RemoveRoom{Room: "r"})
		submit(&change.Join{Room: "r", User: "cid", Create: &change.RoomSpec{Open: true}, Own: true})
	}
	made := false
	for range 59 {
		o := <-done
		switch {
		case chat.KindOf(o.err) == chat.Busy && !change.IsFull(o.err) && !made: // rows are left
		case o.err != nil:
			t.Fatal(o.err)
		case o.r.Created:
			made = true
			if o.r.Room.LastSeq != 0 || o.r.Room.Members != 1 || o.r.Room.Rev <= o.r.Room.Floor {
				t.Errorf("%+v", o.r.Room)
			}
		}
	}
	for !made { // all were in the batch of the deletion or the next ones
		w.must(&change.RemoveRoom{Room: "r"})
		r, err := w.do(&change.Join{Room: "r", User: "cid", Create: &change.RoomSpec{Open: true}, Own: true})
		if made = err == nil; made && (r.Room.LastSeq != 0 || r.Room.Members != 1) {
			t.Errorf("%+v", r.Room)
		}
	}
	if _, err := w.do(send("r", "bob", "", "x")); chat.KindOf(err) != chat.NotMember {
		t.Errorf("a member of the old room writes: %v", err)
	}
	if r := w.must(send("r", "cid", "", "x")); r.Seq != 1 {
		t.Errorf("%+v", r)
	}
	if lines, err := w.store.Check(t.Context()); err != nil || lines != nil {
		t.Errorf("%v %v", lines, err)
	}
}
