package projection_test

import (
	"fmt"
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/projection"
	"github.com/roomtide/roomtide/store"
)

// A new name reaches every room of the user, more than a page of them, and no room
// that the user has left.
func TestNamesFollowProfiles(t *testing.T) {
	w := newWorld(t)
	const rooms = 130
	for i := range rooms {
		w.join(chat.RoomID(fmt.Sprint("r", i)), "ann")
	}
	w.join("left", "ann")
	w.do(&change.Leave{Room: "left", User: "ann"})
	w.close() // her rooms are listed, as the engine sees to before it answers
	w.open()
	name, avatar := "Ann", "/a.png"
	w.do(&change.SetUser{User: "ann", Name: &name, Avatar: &avatar, At: 1})
	w.close()
	w.open()
	named := func(room chat.RoomID) bool {
		m, err := w.store.Room(room).Member(t.Context(), room, "ann")
		if err != nil {
			t.Fatal(err)
		}
		return m.Name == name && m.Avatar == avatar
	}
	for i := range rooms {
		if room := chat.RoomID(fmt.Sprint("r", i)); !named(room) {
			t.Errorf("she has the old name in %s", room)
		}
	}
	if named("left") {
		t.Error("the row of a room that she has left was changed")
	}
	before, err := w.store.Room("r0").Room(t.Context(), "r0")
	if err != nil {
		t.Fatal(err)
	}
	again := &store.Entry{Users: []chat.UserID{"ann", "nobody"}}
	if err := consume(t, projection.Names(w.store, w.lanes), again); err != nil {
		t.Fatal(err)
	}
	if after, err := w.store.Room("r0").Room(t.Context(), "r0"); err != nil || after != before {
		t.Errorf("twice changes something: %+v, was %+v (%v)", after, before, err)
	}
	if err := consume(t, projection.Names(w.store, refusing{w.lanes, "ann"}), again); err == nil {
		t.Error("a lane refuses, and the entry counts as done")
	}
}

// A user who was put into a room by a change without a name has that of the profile.
func TestNewMembersHaveTheNameOfTheirProfile(t *testing.T) {
	w := newWorld(t)
	name := "Ben"
	w.do(&change.SetUser{User: "ben", Name: &name, At: 1})
	w.join("r", "owner")
	for _, user := range []chat.UserID{"ben", "cid"} {
		w.do(&change.SetMember{Room: "r", By: "owner", User: user, Role: chat.RoleMember})
	}
	w.close()
	w.open()
	for user, want := range map[chat.UserID]string{"ben": "Ben", "cid": ""} {
		if m, err := w.store.Room("r").Member(t.Context(), "r", user); err != nil || m.Name != want {
			t.Errorf("%+v %v", m, err)
		}
	}
}
