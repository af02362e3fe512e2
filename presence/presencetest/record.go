package presencetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/presence"
)

// RunRecord checks a record. open returns an empty one, and closes it when the
// test ends.
func RunRecord(t *testing.T, open func(t *testing.T) presence.Record) {
	for name, test := range map[string]func(r *record){
		"is empty at first":              recordEmpty,
		"knows what was persisted":       recordChanges,
		"keeps rooms apart":              recordApart,
		"lists in order up to the limit": recordLists,
	} {
		t.Run(name, func(t *testing.T) { test(&record{t, open(t)}) })
	}
}

type record struct {
	*testing.T
	presence.Record
}

func (r *record) expect(room chat.RoomID, limit, count int, users ...chat.UserID) {
	r.Helper()
	got, n, err := r.Online(r.Context(), room, limit)
	if err != nil || n != count || !slices.Equal(got, users) {
		r.Errorf("room %s limit %d: got %v, %d, %v; want %v, %d", room, limit, got, n, err, users, count)
	}
}

func recordEmpty(r *record) {
	r.expect("a", 10, 0)
	r.Persist(nil)
	r.expect("a", 10, 0)
}

func recordChanges(r *record) {
	r.Persist([]presence.Change{on("a", "ann"), on("a", "bob")})
	r.expect("a", 10, 2, "ann", "bob")
	r.Persist([]presence.Change{off("a", "ann"), on("a", "cid"), off("a", "cid"), on("a", "cid")})
	r.expect("a", 10, 2, "bob", "cid")
	r.Persist([]presence.Change{on("a", "ann")})
	r.expect("a", 10, 3, "ann", "bob", "cid")
	r.Persist([]presence.Change{off("a", "cid"), off("a", "ann"), off("a", "bob")})
	r.expect("a", 10, 0)
}

func recordApart(r *record) {
	r.Persist([]presence.Change{on("a", "ann"), on("a b", "ann"), on("büro:{1}", "cid*")})
	r.Persist([]presence.Change{off("a b", "ann")})
	r.expect("a", 10, 1, "ann")
	r.expect("a b", 10, 0)
	r.expect("büro:{1}", 10, 1, "cid*")
}

func recordLists(r *record) {
	var changes []presence.Change
	var users []chat.UserID
	for i := range 300 {
		users = append(users, chat.UserID(fmt.Sprintf("u%03d", i)))
		changes = append(changes, on("a", chat.UserID(fmt.Sprintf("u%03d", i*7%300)))) // in another order
	}
	r.Persist(changes)
	r.expect("a", 1000, 300, users...)
	r.expect("a", 3, 300, users[:3]...)
	r.expect("a", 0, 300)
}
