package lane_test

import (
	"slices"
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func imported(user chat.UserID, key, text string, at int64) change.Imported {
	return change.Imported{User: user, Key: key, Text: text, Time: at}
}

// all is the messages of a room, in order.
func (w *world) all(room chat.RoomID) []chat.Message {
	w.t.Helper()
	messages, _, err := w.store.Room(room).Messages(w.t.Context(), room, store.Page{After: store.FromStart, Limit: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	return messages
}

// Messages have the author and the time of where they come from. Importing again changes
// what has changed there, and nothing else.
func TestImport(t *testing.T) {
	w := newWorld(t)
	in := &change.Import{Room: "r", Create: &change.RoomSpec{Title: "R"}, Messages: []change.Imported{
		imported("ann", "1", "one", 1000), imported("bob", "2", "two", 2000), {User: "ann", Key: "3", Text: "gone", Time: 3000, Deleted: true},
	}}
	in.Messages[1].ReplyTo, in.Messages[1].Name, in.Messages[1].Edited = 1, "Bob", 2500
	first := w.must(in)
	if !first.Created || len(first.Imported) != 3 || first.Imported[2] != (change.ImportReply{Seq: 3, Rev: 3, Created: true, Changed: true}) {
		t.Fatalf("%+v", first)
	}
	m := w.all("r")
	if m[0].User != "ann" || m[0].Time != 1000 || m[1].Name != "Bob" || m[1].ReplyTo != 1 || m[1].Edited != 2500 || !m[2].Deleted || m[2].Text != "" {
		t.Errorf("%+v", m)
	}
	room, err := w.store.Room("r").Room(t.Context(), "r")
	if err != nil || room.Created != 1000 || room.Active != 3000 || room.Title != "R" || room.Members != 0 {
		t.Errorf("%+v, %v", room, err)
	}
	if kinds := kindsOf(w.published("r")); !slices.Equal(kinds, []chat.EventKind{chat.EventMessage, chat.EventMessage, chat.EventDeleted}) {
		t.Errorf("events %v", kinds)
	}

	again := *in
	again.Create = nil
	again.Messages = slices.Clone(in.Messages)
	again.Messages[0].Text = "changed"
	again.Messages[1].Deleted = true
	again.Messages[2].Deleted = false
	again.Messages = append(again.Messages, change.Imported{Seq: 9, Text: "of no message"}, imported("ann", "1", "changed", 0))
	second := w.must(&again)
	want := []change.ImportReply{
		{Seq: 1, Rev: 4, Changed: true}, {Seq: 2, Rev: 5, Changed: true}, {Seq: 3, Rev: 6, Changed: true}, {}, {Seq: 1, Rev: 4},
	}
	if !slices.Equal(second.Imported, want) {
		t.Errorf("%+v, want %+v", second.Imported, want)
	}
	m = w.all("r")
	if m[0].Text != "changed" || m[0].Time != 1000 || m[0].Edited == 0 || !m[1].Deleted || m[2].Deleted || m[2].Text != "gone" {
		t.Errorf("%+v", m)
	}
	if _, err := w.do(&change.Import{Room: "nowhere", Messages: in.Messages}); chat.KindOf(err) != chat.NotFound {
		t.Error(err)
	}
}

func kindsOf(evs []*chat.Event) (kinds []chat.EventKind) {
	for _, ev := range evs {
		kinds = append(kinds, ev.Kind)
	}
	return kinds
}

// What is of the past has no events, and consumers of the outbox can tell it apart from
// what is said now, also in the same commit.
func TestHistoryHasNoEvents(t *testing.T) {
	w := newWorld(t)
	w.join("r", "ann")
	before := len(w.published("r"))
	in := &change.Import{Room: "r", History: true}
	for i := range 10 {
		in.Messages = append(in.Messages, imported("ann", string(rune('a'+i)), "text", 1000))
	}
	w.must(in)
	w.must(&change.SetMember{Room: "r", Server: true, User: "bob", Role: chat.RoleMember, History: true})
	w.must(send("r", "ann", "", "now"))
	if kinds := kindsOf(w.published("r")[before:]); !slices.Equal(kinds, []chat.EventKind{chat.EventMessage}) {
		t.Errorf("events %v", kinds)
	}
	var runs []store.Run
	var members []chat.UserID
	for _, e := range w.entries("r")[1:] {
		for _, s := range e.Rooms {
			runs = append(runs, s.Runs...)
			for _, m := range s.Members {
				members = append(members, m.User)
			}
		}
	}
	want := []store.Run{
		{Kind: chat.EventMessage, Count: 10, Seq: 1, History: true}, {Kind: chat.EventMember, Count: 1, History: true},
		{Kind: chat.EventMessage, Count: 1, Seq: 11},
	}
	if !slices.Equal(runs, want) || !slices.Equal(members, []chat.UserID{"bob"}) {
		t.Errorf("%+v, members %v", runs, members)
	}
}
