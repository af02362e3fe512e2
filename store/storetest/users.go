package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func checkMembers(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	roles := []chat.Role{chat.RoleMember, chat.RoleNone, chat.RoleModerator, chat.RoleBanned, chat.RoleOwner, chat.RoleMuted}
	for i, id := range odd {
		w.member("r", chat.UserID(id), roles[i%len(roles)])
		w.member("s", chat.UserID(id), chat.RoleMember)
	}
	w.commit()
	present := w.rooms["r"].sorted(func(m chat.Member) bool { return m.Role.Present() })
	for _, limit := range []int{1, 3, len(present), 100} {
		var got []chat.Member
		after := chat.UserID("")
		for {
			page := get(d.Members(ctx, "r", chat.RoleNone, after, limit))(t)
			if len(page) > limit {
				t.Fatalf("%d members, asked for %d", len(page), limit)
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
			after = page[len(page)-1].User
		}
		same(t, fmt.Sprint("pages of ", limit), got, present)
	}
	for _, role := range roles {
		if role == chat.RoleNone {
			continue
		}
		with := w.rooms["r"].sorted(func(m chat.Member) bool { return m.Role == role })
		same(t, "members with role "+role.String(), get(d.Members(ctx, "r", role, "", 100))(t), with)
		same(t, "the next of them", get(d.Members(ctx, "r", role, with[0].User, 2))(t), with[1:3])
	}
	same(t, "members of an unknown room", get(d.Members(ctx, "absent", chat.RoleNone, "", 9))(t), nil)
}

func checkUserRooms(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	var want []store.UserRoom
	roles := []chat.Role{chat.RoleMember, chat.RoleNone, chat.RoleModerator, chat.RoleBanned, chat.RoleOwner, chat.RoleMuted}
	for i, id := range odd {
		u := store.UserRoom{User: "ann", Room: chat.RoomID(id), Role: roles[i%len(roles)], Rev: chat.Rev(i), Read: chat.Seq(2 * i)}
		w.batch.more.UserRooms = append(w.batch.more.UserRooms, u, store.UserRoom{User: "bob", Room: u.Room, Role: chat.RoleMember})
		if u.Role.Present() {
			want = append(want, u)
		}
	}
	w.commit()
	slices.SortFunc(want, func(a, b store.UserRoom) int { return cmp.Compare(a.Room, b.Room) })
	same(t, "rooms", get(d.UserRooms(ctx, "ann", "", 100))(t), want)
	same(t, "the first rooms", get(d.UserRooms(ctx, "ann", "", 3))(t), want[:3])
	for i := range want {
		same(t, "the rooms behind one", get(d.UserRooms(ctx, "ann", want[i].Room, 100))(t), want[i+1:])
	}
	for _, u := range want {
		same(t, "one room", get(d.UserRoom(ctx, "ann", u.Room))(t), u)
	}
	_, err := d.UserRoom(ctx, "ann", "nowhere")
	wantKind(t, err, chat.NotFound)
	same(t, "rooms of an unknown user", get(d.UserRooms(ctx, "absent", "", 3))(t), nil)
	gone := store.UserRoomKey{User: "ann", Room: chat.RoomID(odd[1])} // kept, not listed
	same(t, "role in a room left", get(d.Load(ctx, &store.Need{UserRooms: []store.UserRoomKey{gone}}))(t).UserRooms[gone].Read, chat.Seq(2))
}

// checkUsers writes what is known of users, and reads it on both ways.
func checkUsers(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	var ids []chat.UserID
	want := map[chat.UserID]chat.User{}
	for i, id := range odd {
		u := chat.User{ID: chat.UserID(id), Name: "name of " + id, Avatar: "https://example.org/" + strconv.Itoa(i), Data: `{"n":1}`, Named: int64(i)}
		ids = append(ids, u.ID)
		want[u.ID] = u
		w.batch.more.Users = append(w.batch.more.Users, u)
	}
	w.commit()
	bare := chat.User{ID: ids[0]} // every column is replaced
	want[bare.ID] = bare
	w.write(store.Changes{Users: []chat.User{bare}})
	asked := append([]chat.UserID{"absent"}, ids...)
	got := map[chat.UserID]chat.User{}
	for _, u := range get(d.Users(ctx, asked))(t) {
		got[u.ID] = u
	}
	same(t, "users", got, want)
	same(t, "users loaded", get(d.Load(ctx, &store.Need{Users: append(asked, ids[1])}))(t).Users, want)
	same(t, "nobody", get(d.Users(ctx, nil))(t), nil)
}

func checkOnline(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	change := func(room chat.RoomID, user chat.UserID, node string, on bool) store.OnlineChange {
		return store.OnlineChange{Room: room, OnlineEntry: store.OnlineEntry{User: user, Node: node}, On: on}
	}
	online := func(room chat.RoomID) []store.OnlineEntry {
		s := get(d.Online(ctx, room, 100))(t)
		slices.SortFunc(s, func(a, b store.OnlineEntry) int { return cmp.Compare(string(a.User)+a.Node, string(b.User)+b.Node) })
		return s
	}
	w.write(store.Changes{Online: []store.OnlineChange{
		change("r", "ann", "n1", true), change("r", "ann", "n2", true), change("r", "bob", "n1", true),
		change("s", "ann", "n1", true), change("r", "ann", "n1", true), // noted twice is noted
	}})
	same(t, "entries", online("r"), []store.OnlineEntry{{User: "ann", Node: "n1"}, {User: "ann", Node: "n2"}, {User: "bob", Node: "n1"}})
	same(t, "one entry", len(get(d.Online(ctx, "r", 1))(t)), 1)
	w.write(store.Changes{Online: []store.OnlineChange{change("r", "bob", "n1", false), change("r", "bob", "n2", false)}})
	same(t, "entries without bob", online("r"), []store.OnlineEntry{{User: "ann", Node: "n1"}, {User: "ann", Node: "n2"}})
	w.write(store.Changes{Online: []store.OnlineChange{
		change("", "", "n1", false), change("s", "cid", "n1", true), // in this order
	}})
	same(t, "entries without node n1", online("r"), []store.OnlineEntry{{User: "ann", Node: "n2"}})
	same(t, "entries made after it was cleared", online("s"), []store.OnlineEntry{{User: "cid", Node: "n1"}})
	same(t, "entries of an unknown room", online("absent"), nil)
}
