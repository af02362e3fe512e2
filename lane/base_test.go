package lane_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/store"
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

// stubborn is a driver that cannot raise its revs at first.
type stubborn struct {
	store.Driver
	calls *int
}

func (s stubborn) RaiseRevs(ctx context.Context, from, to chat.Rev) error {
	if *s.calls++; *s.calls == 2 { // of the second shard
		return chat.E(chat.Unavailable, "not now")
	}
	return s.Driver.(store.Raiser).RaiseRevs(ctx, from, to)
}

// A rebase that was interrupted between two shards is finished with the base of the
// first one, however late, and nothing is written before.
func TestInterruptedRebase(t *testing.T) {
	w := newWorld(t)
	calls := 0
	w.break_ = func(d store.Driver) store.Driver { return stubborn{d, &calls} }
	for i := range 20 { // of both shards
		w.join(chat.RoomID(fmt.Sprint("r", i)), "ann", chat.UserID(fmt.Sprint("user", i)))
	}
	w.close()
	w.open()
	w.lanes.Close()
	if err := w.store.Rebase(t.Context(), 1<<40); chat.KindOf(err) != chat.Unavailable {
		t.Fatal(err)
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	st := teststore.Open(t, w.dir, 2, w.break_)
	if _, err := lane.Open(t.Context(), lane.Config{Store: st, Publish: func(*bus.Batch) error { return nil }}); err == nil || !strings.Contains(err.Error(), "restore --mark") {
		t.Errorf("lanes of half a restore: %v", err)
	}
	if err := st.Rebase(t.Context(), 1<<50); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	w.open()
	if w.store.Base() != 1<<40 {
		t.Errorf("the base is %d", w.store.Base())
	}
	for i := range 20 {
		room := chat.RoomID(fmt.Sprint("r", i))
		r, err := w.store.Room(room).Room(t.Context(), room)
		if err != nil || r.Rev != 1<<40+2 || r.Floor != 1<<40 {
			t.Errorf("%+v %v", r, err)
		}
		for _, user := range []chat.UserID{"ann", chat.UserID(fmt.Sprint("user", i))} {
			m, err := w.store.Room(room).Member(t.Context(), room, user)
			if err != nil || m.Rev <= 1<<40 || m.Rev > r.Rev {
				t.Errorf("%+v %v", m, err)
			}
		}
	}
}
