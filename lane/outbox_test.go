package lane_test

import (
	"context"
	"slices"
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// entries are what the room's shard has in its outbox.
func (w *world) entries(room chat.RoomID) []store.Entry {
	w.t.Helper()
	es, err := w.store.Room(room).Outbox(w.t.Context(), 0, 0, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	return es
}

// An entry says of each rev what it was, and has the member rows as they are.
func TestEntriesSayWhatEachRevWas(t *testing.T) {
	w := newWorld(t)
	w.join("r", "ann", "bob")
	w.must(send("r", "ann", "", "one"))
	w.must(send("r", "ann", "", "two"))
	w.must(&change.Edit{Room: "r", Seq: 1, User: "ann", Text: "edited"})
	w.must(&change.React{Room: "r", Seq: 2, User: "bob", Emoji: "+", On: true})
	w.must(&change.Delete{Room: "r", Seq: 1, User: "ann"})
	title := "title"
	w.must(&change.SetRoom{Room: "r", By: "ann", Title: &title})
	w.must(&change.Leave{Room: "r", User: "bob"})
	w.must(&change.SetRoom{Room: "empty", Server: true, Create: &change.RoomSpec{}})

	var got []store.Change
	members, before := map[chat.UserID][]chat.Role{}, map[chat.UserID][]chat.Role{}
	for _, e := range w.entries("r") {
		for _, s := range e.Rooms {
			if s.Room != "r" {
				continue
			}
			if n := len(got); s.From != chat.Rev(n+1) {
				t.Fatalf("a span from rev %d follows rev %d", s.From, n)
			}
			got = slices.AppendSeq(got, s.Changes())
			if last := got[len(got)-1].Rev; s.To != last {
				t.Fatalf("a span up to rev %d tells of %d", s.To, last)
			}
			for i, m := range s.Members {
				members[m.User] = append(members[m.User], m.Role)
				before[m.User] = append(before[m.User], s.Was[i])
			}
			if e.Time == 0 {
				t.Error("an entry without a time")
			}
		}
	}
	want := []store.Change{
		{Rev: 1, Kind: chat.EventMember}, {Rev: 2, Kind: chat.EventMember},
		{Rev: 3, Kind: chat.EventMessage, Seq: 1}, {Rev: 4, Kind: chat.EventMessage, Seq: 2},
		{Rev: 5, Kind: chat.EventEdited, Seq: 1}, {Rev: 6, Kind: chat.EventReacted, Seq: 2},
		{Rev: 7, Kind: chat.EventDeleted, Seq: 1}, {Rev: 8, Kind: chat.EventRoom}, {Rev: 9, Kind: chat.EventMember},
	}
	if !slices.Equal(got, want) {
		t.Errorf("the changes are\n%+v, want\n%+v", got, want)
	}
	if roles := members["bob"]; !slices.Equal(roles, []chat.Role{chat.RoleMember, chat.RoleNone}) {
		t.Errorf("bob's roles: %v", roles)
	}
	if roles := before["bob"]; !slices.Equal(roles, []chat.Role{chat.RoleNone, chat.RoleMember}) {
		t.Errorf("bob's roles before: %v", roles)
	}
	made := false
	for _, e := range w.entries("empty") {
		for _, s := range e.Rooms {
			made = made || s.Room == "empty" && s.From == 1 && s.To == 0
		}
	}
	if !made {
		t.Error("there is no entry for a room that was made and is empty")
	}
}

// Joins that are told to a large room together are changes of one member each.
func TestEntriesOfJoinsToldTogether(t *testing.T) {
	w := newWorld(t)
	const members = 220
	for i := range members {
		w.join("r", chat.UserID(rune('a'+i)))
	}
	n := 0
	for _, e := range w.entries("r") {
		for _, s := range e.Rooms {
			for c := range s.Changes() {
				if n++; c != (store.Change{Rev: chat.Rev(n), Kind: chat.EventMember}) {
					t.Fatalf("change %d is %+v", n, c)
				}
			}
		}
	}
	if n != members {
		t.Errorf("%d changes", n)
	}
}

func TestNotifyAndPosition(t *testing.T) {
	w := newWorld(t)
	w.join("r", "ann")
	shard := w.store.ShardOf(chat.RoomID("r").Slot())
	full, fresh := make(chan struct{}, 1), make(chan struct{}, 1)
	full <- struct{}{}
	w.lanes.Notify(shard, full) // does not hold the lane up
	w.lanes.Notify(shard, fresh)
	before := w.lanes.Position(shard)
	w.must(send("r", "ann", "", "x"))
	<-fresh
	if es := w.entries("r"); w.lanes.Position(shard) != before+1 || es[len(es)-1].Position != before+1 {
		t.Errorf("position %d after %d, the last entry's is %d", w.lanes.Position(shard), before, es[len(es)-1].Position)
	}
	if err := w.lanes.SaveCursors(t.Context(), shard, store.Cursor{Consumer: "c", Position: 3}); err != nil {
		t.Fatal(err)
	}
	if w.lanes.Position(shard) != before+2 || len(fresh) != 0 {
		t.Error("a commit without an entry moves the position, and tells of nothing")
	}
	cs, err := w.store.Shards()[shard].Cursors(t.Context(), 0)
	if err != nil || len(cs) != 1 || cs[0].Position != 3 {
		t.Errorf("cursors %+v, %v", cs, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	w.close()
	wantKind(t, w.lanes.SaveCursors(ended, shard, store.Cursor{Consumer: "c", Position: 4}), chat.Unavailable)
	w.open()
	if got := w.lanes.Position(shard); got != before+2 {
		t.Errorf("after a restart the position is %d, want %d", got, before+2)
	}
}
