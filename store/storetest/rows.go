package storetest

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// stock is a world and the rows of the tables that it does not keep in mind.
type stock struct {
	*world
	side store.Rows
}

// neighbours are n ids that are filed under the slot of id, which is the first.
func neighbours(id string, n int) []string {
	ids := []string{id}
	for i := 0; len(ids) < n; i++ {
		if next := fmt.Sprint("n", i); chat.RoomID(next).Slot() == chat.RoomID(id).Slot() {
			ids = append(ids, next)
		}
	}
	return ids
}

// newStock fills a driver with rows of every table and sort, several of them in one
// slot.
func newStock(t rapid.TB, d store.Driver) *stock {
	s := &stock{world: newWorld(t, d)}
	ids := append(neighbours("a", 4), odd...)
	for i, id := range ids {
		room, user := chat.RoomID(id), chat.UserID(id)
		if s.rooms[room] != nil {
			continue
		}
		s.member(room, user, chat.RoleOwner)
		for n := range 3 {
			s.post(room, user, "text of "+id, []string{id, "", id + "2"}[n])
			s.member(room, chat.UserID(odd[(i+n)%len(odd)]), chat.Role((n+i)%6))
		}
		s.react(room, 1, user, id, true)
		s.react(room, 1, "ann", id, true)
		s.react(room, 3, "ann", "👍", true)
		s.commit()
		s.edit(room, 1, "better")
		s.remove(room, 2)
		s.rename(room, "title of "+id)
		s.keep(store.Rows{
			Online:    []store.OnlineChange{online(room, user, "n1"), online(room, user, "n2"), online(room, "ann", id)},
			UserRooms: []store.UserRoom{{User: user, Room: room, Role: chat.RoleOwner, Rev: 2, Read: 1}, {User: user, Room: "left", Rev: 9}},
			Users:     []chat.User{{ID: user, Name: "name of " + id, Avatar: "/" + id, Data: `{"a":1}`, Named: int64(i)}},
			Access:    []chat.Access{{User: user, NotBefore: int64(i), Claimed: i%2 == 0}},

			Devices:      []chat.Device{{User: user, ID: "d1", Provider: "fcm", Address: `{"token":"` + id + `"}`, Language: "zh", Registered: 1, Seen: int64(i)}, {User: user, ID: id}},
			PushSettings: []chat.PushSettings{{User: user, TimeZone: "Asia/Shanghai", HideContent: true}, {User: user, Room: room, Level: chat.PushNone}},
			PushJobs:     []store.PushJob{job(user, store.RoomTopic(room), "d1", int64(i)), job(user, store.RoomTopic(room), id, 1), job(user, store.HostTopic(id), "d1", 2)},
			PushOwners:   []store.PushOwner{{Digest: id, User: user, Device: "d1", Seen: int64(i)}},
			UserNodes:    []store.UserNodes{{User: user, Nodes: "n1\n" + id}},
		})
	}
	s.commit()
	s.rooms["a"].Deleted = true // with rows left
	s.bump(s.rooms["a"])
	s.commit()
	return s
}

func online(room chat.RoomID, user chat.UserID, node string) store.OnlineChange {
	return store.OnlineChange{Room: room, OnlineEntry: store.OnlineEntry{User: user, Node: node}, On: true}
}

// job is a job with everything by n.
func job(user chat.UserID, topic, device string, n int64) store.PushJob {
	text := fmt.Sprint("text ", n)
	return store.PushJob{User: user, Topic: topic, Device: device, Made: n + 1, State: store.PushState(n % 3), Silent: n%2 == 1, Mention: n%2 == 0,
		Shown: n%4 > 1, Seq: chat.Seq(n), Due: 1000 + n, Expires: 2000 + n, Attempts: int(n), Reason: text + "r", Title: text + "t", Text: text, Data: text + "d"}
}

// keep adds rows of tables that a world does not keep in mind to the batch.
func (s *stock) keep(rows store.Rows) {
	more := &s.batch.more
	s.side.Online, more.Online = append(s.side.Online, rows.Online...), append(more.Online, rows.Online...)
	s.side.UserRooms, more.UserRooms = append(s.side.UserRooms, rows.UserRooms...), append(more.UserRooms, rows.UserRooms...)
	s.side.Users, more.Users = append(s.side.Users, rows.Users...), append(more.Users, rows.Users...)
	s.side.Access, more.Access = append(s.side.Access, rows.Access...), append(more.Access, rows.Access...)
	s.side.Devices, more.Devices = append(s.side.Devices, rows.Devices...), append(more.Devices, rows.Devices...)
	s.side.PushSettings, more.PushSettings = append(s.side.PushSettings, rows.PushSettings...), append(more.PushSettings, rows.PushSettings...)
	s.side.PushJobs, more.PushJobs = append(s.side.PushJobs, rows.PushJobs...), append(more.PushJobs, rows.PushJobs...)
	s.side.PushOwners, more.PushOwners = append(s.side.PushOwners, rows.PushOwners...), append(more.PushOwners, rows.PushOwners...)
	s.side.UserNodes, more.UserNodes = append(s.side.UserNodes, rows.UserNodes...), append(more.UserNodes, rows.UserNodes...)
}

// all are the rows that should be stored.
func (s *stock) all() *store.Rows {
	all := s.side
	for _, r := range s.rooms {
		all.Rooms = append(all.Rooms, r.Room)
		for _, m := range r.members {
			all.Members = append(all.Members, m)
		}
		all.Messages = append(all.Messages, r.messages...)
		for k, at := range r.choices {
			all.Reactions = append(all.Reactions, store.ReactionChange{ReactionKey: k, On: true, Time: at})
		}
	}
	return &all
}

// pick returns the rows whose keys keep lets pass, in ascending order.
func pick(r *store.Rows, keep func(store.RowKey) bool) *store.Rows {
	return &store.Rows{
		Rooms: pickRows(r.Rooms, keep), Members: pickRows(r.Members, keep), Messages: pickRows(r.Messages, keep),
		Reactions: pickRows(r.Reactions, keep), Online: pickRows(r.Online, keep), UserRooms: pickRows(r.UserRooms, keep),
		Users: pickRows(r.Users, keep), Access: pickRows(r.Access, keep), Devices: pickRows(r.Devices, keep), PushSettings: pickRows(r.PushSettings, keep),
		PushJobs: pickRows(r.PushJobs, keep), PushOwners: pickRows(r.PushOwners, keep),
		UserNodes: pickRows(r.UserNodes, keep),
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

func every(store.RowKey) bool { return true }

// filedUnder are the rows of a slot.
func filedUnder(r *store.Rows, slot chat.Slot) *store.Rows {
	return pick(r, func(k store.RowKey) bool { return k.Slot() == slot })
}

// slotOf reads a slot from a key on, and looks at each page.
func slotOf(t rapid.TB, d store.Driver, slot chat.Slot, after store.RowKey, limit, bytes int) *store.Rows {
	t.Helper()
	var all store.Rows
	for {
		rows, next, err := d.SlotRows(ctx, slot, after, limit, bytes)
		must(t, err)
		keys := rows.Keys()
		if rows.Len() > max(limit, 1) {
			t.Fatalf("%d rows, the limit is %d", rows.Len(), limit)
		}
		if n := rows.Size(); bytes > 0 && n > bytes && len(keys) > 1 {
			t.Fatalf("%d rows of %d bytes, the bound is %d", len(keys), n, bytes)
		}
		for i, k := range keys {
			if before := append([]store.RowKey{after}, keys...)[i]; k.Compare(before) <= 0 {
				t.Fatalf("%+v follows %+v", k, before)
			}
		}
		all.Add(rows)
		if next == (store.RowKey{}) {
			return pick(&all, every)
		}
		if len(keys) == 0 || next != keys[len(keys)-1] {
			t.Fatalf("next is %+v after the rows %+v", next, keys)
		}
		after = next
	}
}

// checkSlotRows reads slots in pages of every size.
func checkSlotRows(t *testing.T, d store.Driver) {
	s := newStock(t, d)
	all := s.all()
	for _, id := range []string{"a", "A", "á", odd[len(odd)-1]} {
		slot := chat.RoomID(id).Slot()
		want := filedUnder(all, slot)
		for _, limit := range []int{0, 1, 2, 3, 7, want.Len() - 1, want.Len(), want.Len() + 1, 1000} {
			same(t, fmt.Sprint("slot of ", id, " by ", limit), *slotOf(t, d, slot, store.RowKey{}, limit, 0), *want)
		}
		for _, bytes := range []int{1, 300, 1000, 10_000} {
			same(t, fmt.Sprint("slot of ", id, " in bytes"), *slotOf(t, d, slot, store.RowKey{}, 1000, bytes), *want)
		}
	}
	if n := len(filedUnder(all, chat.RoomID("a").Slot()).Rooms); n < 4 {
		t.Fatalf("%d rooms in a slot", n)
	}
	var none chat.Slot
	for filedUnder(all, none).Len() > 0 {
		none++
	}
	same(t, "a slot without rows", *slotOf(t, d, none, store.RowKey{}, 10, 0), store.Rows{})
	checkSlotRowsAfter(t, d, all)
}

// checkSlotRowsAfter begins behind every row, and behind keys of which there is no
// row.
func checkSlotRowsAfter(t *testing.T, d store.Driver, all *store.Rows) {
	slot := chat.RoomID("a").Slot()
	rows := filedUnder(all, slot)
	keys := rows.Keys()
	for table := store.TableRooms; table <= store.LastTable; table++ {
		keys = append(keys, store.RowKey{Table: table}, store.RowKey{Table: table, ID: "a"}, store.RowKey{Table: table, ID: "\U0010ffff"})
	}
	keys = append(keys, store.RowKey{Table: store.TableMessages, ID: "a", Seq: 99},
		store.RowKey{Table: store.TableReactions, ID: "a", Seq: 1, A: "a"}, store.RowKey{Table: store.TableMembers, ID: "a", A: "b"})
	for _, k := range keys {
		want := pick(rows, func(r store.RowKey) bool { return r.Compare(k) > 0 })
		same(t, fmt.Sprintf("rows after %+v", k), *slotOf(t, d, slot, k, 5, 0), *want)
	}
}

func checkRowsByKey(t *testing.T, d store.Driver) {
	s := newStock(t, d)
	all := pick(s.all(), every)
	keys := all.Keys()
	same(t, "every row", *pick(get(d.RowsByKey(ctx, keys))(t), every), *all)
	same(t, "no row", *pick(get(d.RowsByKey(ctx, nil))(t), every), store.Rows{})

	wanted := map[store.RowKey]bool{}
	var some []store.RowKey
	for i, k := range keys {
		absent := k
		absent.ID += "x"
		some = append(some, absent)
		if i%3 == 0 {
			wanted[k] = true
			some = append(some, k, k)
		}
	}
	same(t, "some rows", *pick(get(d.RowsByKey(ctx, some))(t), every), *pick(all, func(k store.RowKey) bool { return wanted[k] }))
	for _, table := range []store.Table{0, store.LastTable + 1, 255} {
		if _, err := d.RowsByKey(ctx, []store.RowKey{{Table: table, ID: "a"}}); err == nil {
			t.Errorf("a key of table %d is no error", table)
		}
	}
}
