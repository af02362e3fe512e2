package store

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/roomtide/roomtide/chat"
)

// talking is a shard whose rooms have ten messages each, all of others.
type talking struct {
	fakeDriver
	archived chat.RoomID
	rooms    error // of Rooms
	others   error // of Others
}

func (d *talking) Rooms(_ context.Context, ids []chat.RoomID) (rooms []chat.Room, err error) {
	for _, id := range ids {
		rooms = append(rooms, chat.Room{ID: id, LastSeq: 10, Archived: id == d.archived})
	}
	return rooms, d.rooms
}

func (d *talking) Others(_ context.Context, ranges []Range) (os []Others, err error) {
	for _, r := range ranges {
		os = append(os, Others{Count: int(r.To - r.From)})
	}
	return os, d.others
}

// What is unread is counted over all rooms of all shards; a shard that fails concerns those
// who have rooms there.
func TestUnread(t *testing.T) {
	one, two := &talking{}, &talking{}
	s, err := New(NewMap([]string{"one", "two"}), []Driver{one, two}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	by := map[int][]chat.RoomID{} // rooms of each shard
	for i := 0; len(by[0]) < 2 || len(by[1]) < 1; i++ {
		id := chat.RoomID(fmt.Sprint("room", i))
		by[s.ShardOf(id.Slot())] = append(by[s.ShardOf(id.Slot())], id)
	}
	a, b, c := by[0][0], by[0][1], by[1][0]
	one.archived = b
	in := func(room chat.RoomID, user chat.UserID, read chat.Seq) UserRoom {
		return UserRoom{User: user, Room: room, Role: chat.RoleMember, Rev: 1, Read: read}
	}
	rs := []Recipient{
		{User: "ann", Rooms: []UserRoom{in(a, "ann", 0), in(b, "ann", 0), in(c, "ann", 7)}},
		{User: "bob", Rooms: []UserRoom{in(a, "bob", 4)}},
		{User: "cid", Rooms: []UserRoom{in(c, "cid", 10)}},
		{User: "dan"},
	}
	check := func(what string, want []int, fails []bool) {
		t.Helper()
		counts, failed := s.Unread(t.Context(), rs)
		for i := range rs {
			if (failed[i] != nil) != fails[i] || !fails[i] && counts[i] != want[i] {
				t.Errorf("%s: %s has %d, %v", what, rs[i].User, counts[i], failed[i])
			}
		}
	}
	want := []int{13, 6, 0, 0}
	check("all is well", want, []bool{false, false, false, false})
	two.rooms = errors.New("down")
	check("no rooms", want, []bool{true, false, true, false})
	two.rooms, two.others = nil, errors.New("down")
	check("no messages", want, []bool{true, false, false, false})
}
