package transfer_test

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/transfer"
)

// open opens a deployment that is closed when the test ends.
func open(t testing.TB, shards int) *store.Store {
	t.Helper()
	st := teststore.Open(t, t.TempDir(), shards, nil)
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

// put writes rows, whatever their slots.
func put(t rapid.TB, st *store.Store, rows *store.Rows) {
	t.Helper()
	byShard := make([]store.Rows, len(st.Shards()))
	for slot := range chat.Slot(chat.Slots) {
		byShard[st.ShardOf(slot)].Add(pick(rows, func(k store.RowKey) bool { return k.Slot() == slot }))
	}
	for i, s := range st.Shards() {
		at, err := s.Acquire(context.Background(), 0)
		if err == nil {
			err = s.Commit(context.Background(), 0, at, &store.Changes{Put: &byShard[i]})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// stored reads everything, in ascending order of keys.
func stored(t rapid.TB, st *store.Store) *store.Rows {
	t.Helper()
	return storedIn(t, st, slices.Collect(func(yield func(chat.Slot) bool) {
		for slot := range chat.Slot(chat.Slots) {
			if !yield(slot) {
				return
			}
		}
	}))
}

// slotsOf are the slots of the rows.
func slotsOf(rows *store.Rows) []chat.Slot {
	var slots []chat.Slot
	for _, k := range rows.Keys() {
		slots = append(slots, k.Slot())
	}
	slices.Sort(slots)
	return slices.Compact(slots)
}

// storedIn reads some slots.
func storedIn(t rapid.TB, st *store.Store, slots []chat.Slot) *store.Rows {
	t.Helper()
	var all store.Rows
	for _, slot := range slots {
		var after store.RowKey
		for {
			rows, next, err := st.Shards()[st.ShardOf(slot)].SlotRows(context.Background(), slot, after, 1000, 0)
			if err != nil {
				t.Fatal(err)
			}
			if all.Add(rows); next == (store.RowKey{}) {
				break
			}
			after = next
		}
	}
	return pick(&all, func(store.RowKey) bool { return true })
}

// pick returns the rows whose keys keep lets pass, in ascending order.
func pick(r *store.Rows, keep func(store.RowKey) bool) *store.Rows {
	return &store.Rows{
		Rooms: pickRows(r.Rooms, keep), Members: pickRows(r.Members, keep), Messages: pickRows(r.Messages, keep),
		Reactions: pickRows(r.Reactions, keep), Online: pickRows(r.Online, keep), UserRooms: pickRows(r.UserRooms, keep),
		Users: pickRows(r.Users, keep), Access: pickRows(r.Access, keep),
		Devices: pickRows(r.Devices, keep), PushSettings: pickRows(r.PushSettings, keep), PushOwners: pickRows(r.PushOwners, keep),
	}
}

func pickRows[R store.Row](rows []R, keep func(store.RowKey) bool) []R {
	var out []R
	for i := range rows {
		if keep(store.KeyOf(&rows[i])) {
			out = append(out, rows[i])
		}
	}
	slices.SortFunc(out, func(a, b R) int { return store.KeyOf(&a).Compare(store.KeyOf(&b)) })
	return out
}

// same compares rows one by one.
func same(t rapid.TB, what string, got, want *store.Rows) {
	t.Helper()
	if reflect.DeepEqual(got, want) {
		return
	}
	var a, b bytes.Buffer
	if err := got.WriteLines(&a); err != nil {
		t.Fatal(err)
	}
	if err := want.WriteLines(&b); err != nil {
		t.Fatal(err)
	}
	t.Fatalf("%s:\n got %s\nwant %s", what, a.Bytes(), b.Bytes())
}

// whole fails the test if a shard has a fault.
func whole(t rapid.TB, st *store.Store) {
	t.Helper()
	if lines, err := st.Check(context.Background()); err != nil || len(lines) > 0 {
		t.Fatalf("faults: %q %v", lines, err)
	}
}

func quiet(string, transfer.Counts) {}

// exportAll is a file with everything.
func exportAll(t rapid.TB, st *store.Store) []byte {
	t.Helper()
	var file bytes.Buffer
	if _, err := transfer.ExportAll(context.Background(), st, &file, quiet); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func importInto(st *store.Store, file []byte, e transfer.Existing) (transfer.Result, error) {
	return transfer.Import(context.Background(), st, bytes.NewReader(file), e, quiet)
}

func mustImport(t rapid.TB, st *store.Store, file []byte, e transfer.Existing) transfer.Result {
	t.Helper()
	r, err := importInto(st, file, e)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// aRoom is a room with so many messages, of the user ann, who owns it, and bob.
func aRoom(id chat.RoomID, messages int) *store.Rows {
	rows := &store.Rows{
		Members: []chat.Member{{Room: id, User: "ann", Name: "Ann", Role: chat.RoleOwner, Rev: 2, Since: 5, Data: `{"a":1}`},
			{Room: id, User: "bob", Role: chat.RoleMember, Rev: 3}, {Room: id, User: "cid", Role: chat.RoleBanned, Until: 77, Rev: 4}},
		UserRooms: []store.UserRoom{{User: "ann", Room: id, Role: chat.RoleOwner, Rev: 2, Read: 1},
			{User: "bob", Room: id, Role: chat.RoleMember, Rev: 3}, {User: "cid", Room: id, Role: chat.RoleBanned, Rev: 4}},
	}
	rev := chat.Rev(4)
	for seq := chat.Seq(1); int(seq) <= messages; seq++ {
		rev += 2
		m := chat.Message{Room: id, Seq: seq, Rev: rev, Created: rev - 1, User: "ann", Name: "Ann", Text: fmt.Sprint("message ", seq),
			Time: int64(1000 + seq), Key: fmt.Sprint("key ", seq), Digest: -int64(seq), Data: []byte(`{"n":1}`)}
		if seq%5 == 0 {
			m.Deleted, m.Text, m.Data = true, "", nil
		} else {
			rows.Reactions = append(rows.Reactions, store.ReactionChange{
				ReactionKey: store.ReactionKey{Room: id, Seq: seq, Emoji: "👍", User: "bob"}, On: true, Time: int64(seq)})
		}
		rows.Messages = append(rows.Messages, m)
	}
	rows.Rooms = []chat.Room{{ID: id, Title: "room " + string(id), LastSeq: chat.Seq(messages), Rev: rev, InfoRev: 1, Members: 2, Created: 5,
		Active: int64(1000 + messages), Archived: messages%2 == 1}}
	return rows
}

// someUsers are what is known of users.
func someUsers() *store.Rows {
	return &store.Rows{
		Users:        []chat.User{{ID: "ann", Name: "Ann", Avatar: "/ann", Data: `[1]`, Named: 9}, {ID: "bob", Name: "Bob"}},
		Access:       []chat.Access{{User: "ann", Claimed: true}, {User: "eve", NotBefore: 99}},
		Devices:      []chat.Device{{User: "ann", ID: "phone", Provider: "fcm", Address: `{"token":"t"}`, Registered: 1, Seen: 2}},
		PushSettings: []chat.PushSettings{{User: "ann", Level: chat.PushMentions, TimeZone: "Asia/Shanghai"}, {User: "eve", Room: "r", MuteUntil: 9}},
		PushOwners:   []store.PushOwner{{Digest: "digest", User: "ann", Device: "phone", Seen: 2}},
	}
}

// gone is a room that was deleted.
func gone(id chat.RoomID) *store.Rows {
	return &store.Rows{Rooms: []chat.Room{{ID: id, Rev: 50, InfoRev: 2, Deleted: true, Floor: 50}}}
}

// deployment has several rooms and users.
func deployment(t rapid.TB, st *store.Store) *store.Rows {
	t.Helper()
	var all store.Rows
	for i, id := range []chat.RoomID{"a", "b", "c/1", "ü", "empty"} {
		all.Add(aRoom(id, []int{3, 12, 300, 1, 0}[i]))
	}
	all.Add(someUsers())
	all.Add(gone("gone"))
	put(t, st, &all)
	return pick(&all, func(store.RowKey) bool { return true })
}

// randomRows draws a deployment.
func randomRows(t *rapid.T) *store.Rows {
	var all store.Rows
	users := []chat.UserID{"ann", "bob", "cid", "Ann", "日本"}
	text := rapid.SampledFrom([]string{"", "x", "<b>\"\\\u2028", "é\n👍", "null"})
	data := rapid.SampledFrom([]string{"", `{"a":[1,"<"]}`, `[]`, "1e5", `"x"`})
	small := rapid.Int64Range(0, 9)
	role := rapid.SampledFrom([]chat.Role{chat.RoleNone, chat.RoleMember, chat.RoleModerator, chat.RoleOwner, chat.RoleBanned, chat.RoleMuted})
	for i := range rapid.IntRange(0, 6).Draw(t, "rooms") {
		r := chat.Room{ID: chat.RoomID(fmt.Sprint("room ", i)), Title: text.Draw(t, "title"), Topic: text.Draw(t, "topic"), Data: data.Draw(t, "data"),
			Open: rapid.Bool().Draw(t, "open"), ReadOnly: rapid.Bool().Draw(t, "read_only"), Archived: rapid.Bool().Draw(t, "archived"),
			Created: small.Draw(t, "created"), Active: small.Draw(t, "active"), Floor: chat.Rev(small.Draw(t, "floor"))}
		r.Rev = r.Floor + 1
		r.InfoRev = r.Rev
		for _, u := range users {
			if rapid.Bool().Draw(t, "a member") {
				r.Rev++
				m := chat.Member{Room: r.ID, User: u, Name: text.Draw(t, "name"), Data: data.Draw(t, "data"), Role: role.Draw(t, "role"), Rev: r.Rev,
					Since: small.Draw(t, "since"), Until: small.Draw(t, "until")}
				if m.Role.Present() {
					r.Members++
				}
				all.Members = append(all.Members, m)
				all.UserRooms = append(all.UserRooms, store.UserRoom{User: u, Room: r.ID, Role: m.Role, Rev: m.Rev, Read: chat.Seq(small.Draw(t, "read"))})
			}
		}
		for range rapid.IntRange(0, 8).Draw(t, "messages") {
			r.Rev++
			r.LastSeq++
			m := chat.Message{Room: r.ID, Seq: r.LastSeq, Rev: r.Rev, Created: r.Rev, User: rapid.SampledFrom(users).Draw(t, "author"),
				Text: text.Draw(t, "text"), Time: small.Draw(t, "time"), Edited: small.Draw(t, "edited"), ReplyTo: chat.Seq(small.Draw(t, "reply"))}
			if d := data.Draw(t, "data"); d != "" {
				m.Data = []byte(d)
			}
			if rapid.Bool().Draw(t, "with a key") {
				m.Key, m.Digest = fmt.Sprint("key ", m.Seq, text.Draw(t, "key")), rapid.Int64().Draw(t, "digest")
			}
			for _, u := range users {
				if rapid.IntRange(0, 3).Draw(t, "reacts") == 0 {
					r.Rev++
					m.Rev = r.Rev
					all.Reactions = append(all.Reactions, store.ReactionChange{ReactionKey: store.ReactionKey{Room: r.ID, Seq: m.Seq,
						Emoji: rapid.SampledFrom([]string{"👍", "🎉"}).Draw(t, "emoji"), User: u}, On: true, Time: small.Draw(t, "time")})
				}
			}
			all.Messages = append(all.Messages, m)
		}
		all.Rooms = append(all.Rooms, r)
	}
	for _, u := range users {
		if rapid.Bool().Draw(t, "a profile") {
			all.Users = append(all.Users, chat.User{ID: u, Name: text.Draw(t, "name"), Data: data.Draw(t, "data"), Named: small.Draw(t, "named")})
			all.Access = append(all.Access, chat.Access{User: u, NotBefore: small.Draw(t, "not before"), Claimed: rapid.Bool().Draw(t, "claimed")})
			all.Devices = append(all.Devices, chat.Device{User: u, ID: text.Draw(t, "device") + "d", Address: data.Draw(t, "address"), Seen: small.Draw(t, "seen")})
		}
	}
	return pick(&all, func(store.RowKey) bool { return true })
}
