package lane_test

import (
	"slices"
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// A message mentions members alone, and not its author; an edit has its text say anew whom, and leaves
// those who were named beside the text. A tombstone mentions none.
func TestMentionsAreOfMembers(t *testing.T) {
	w := newWorld(t)
	w.join("r", "ann", "bob", "cid")
	w.must(&change.Leave{Room: "r", User: "cid"})
	w.must(&change.Send{Room: "r", User: "ann", Draft: chat.Draft{Text: "@bob @cid @ann @eve", Mentions: []chat.UserID{"eve", "bob"}}})
	check := func(what string, want ...chat.UserID) {
		t.Helper()
		ms, _, err := w.store.Room("r").Messages(t.Context(), "r", store.Page{Limit: 1})
		if err != nil || !slices.Equal(ms[0].Mentions, want) {
			t.Errorf("%s: %+v %v, want %q", what, ms, err, want)
		}
	}
	check("sent", "bob")
	if evs := w.published("r"); !slices.Equal(evs[len(evs)-1].Message.Mentions, []chat.UserID{"bob"}) {
		t.Errorf("told: %+v", evs[len(evs)-1].Message)
	}
	w.join("r", "dan", "fay")
	w.must(&change.Send{Room: "r", User: "ann", Draft: chat.Draft{Text: "@bob", Mentions: []chat.UserID{"fay"}}})
	check("sent with names", "fay", "bob")
	edit := func(seq chat.Seq, text string) { w.must(&change.Edit{Room: "r", Seq: seq, User: "ann", Text: text}) }
	edit(2, "@dan @cid @ann @eve")
	check("another is named", "fay", "dan")
	if evs := w.published("r"); !slices.Equal(evs[len(evs)-1].Message.Mentions, []chat.UserID{"fay", "dan"}) {
		t.Errorf("an edit was told as %+v", evs[len(evs)-1].Message)
	}
	w.must(&change.Edit{Room: "r", Seq: 2, User: "ann", Text: "@dan @cid @ann @eve", Data: []byte(`{}`)})
	check("the same text", "fay", "dan")
	edit(2, "x")
	check("none is named", "fay")
	w.must(&change.Delete{Room: "r", Seq: 2, User: "ann"})
	check("deleted")
}
