package lane_test

import (
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// After a restore (store.Rebase) the revs of every room go on beyond those of all that
// was before, also of a room that is made anew, and a client with an old one starts over.
func TestRoomsBeginBeyondTheBase(t *testing.T) {
	w := newWorld(t)
	w.join("kept", "ann", "bob")
	w.must(send("kept", "ann", "k", "x"))
	had := w.must(send("kept", "bob", "", "y")).Rev
	const base = 1 << 40
	w.lanes.Close()
	if err := w.store.Rebase(t.Context(), base); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	w.open()
	if err := w.store.Rebase(t.Context(), base); chat.KindOf(err) != chat.Invalid {
		t.Errorf("the same base again: %v", err)
	}

	if r := w.must(send("kept", "ann", "k", "x")); r.Seq != 1 || r.Changed {
		t.Errorf("the key is not known any more: %+v", r)
	}
	r := w.must(send("kept", "ann", "", "z"))
	if r.Seq != 3 || r.Rev != base+had+1 {
		t.Errorf("the room goes on with %+v", r)
	}
	w.join("new", "cid")
	w.must(send("new", "cid", "", "hello"))
	for room, after := range map[chat.RoomID]chat.Rev{"kept": had, "new": 2} {
		for _, after := range []chat.Rev{1, after, after + 1, base} { // of before, and of a history that is lost
			d, err := w.store.Room(room).Delta(t.Context(), room, after, 10, 0)
			if err != nil || !d.Reset {
				t.Errorf("%s after %d: %+v %v", room, after, d, err)
			}
		}
		d, err := w.store.Room(room).Delta(t.Context(), room, 0, 2, 0) // page by page from its beginning
		for n := len(d.Messages); err == nil && d.More; n += len(d.Messages) {
			if d, err = w.store.Room(room).Delta(t.Context(), room, d.Rev, 2, 0); d.Reset {
				t.Errorf("%s: the pages end with a reset after %d messages", room, n)
			}
		}
		if err != nil {
			t.Error(err)
		}
	}
	if _, err := w.do(&change.Leave{Room: "new", User: "cid"}); err != nil {
		t.Error(err)
	}
	if lines, err := w.store.Check(t.Context()); err != nil || lines != nil {
		t.Errorf("%v %v", lines, err)
	}
}
