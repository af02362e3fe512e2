package storetest

import (
	"fmt"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func checkOutbox(t *testing.T, d store.Driver) {
	same(t, "position of a lane that does not exist", get(d.Position(ctx, 0))(t), 0)
	w := newWorld(t, d)
	same(t, "position of a lane without commits", get(d.Position(ctx, 0))(t), w.at.N)
	var want []store.OutboxRow
	for i := range 7 {
		if i == 3 {
			w.write(store.Changes{}) // a commit without an entry leaves a hole
		}
		row := store.OutboxRow{Position: w.at.Next().N, Body: []byte{0, byte(i), 255, '\''}}
		w.write(store.Changes{Outbox: row.Body})
		want = append(want, row)
		same(t, "position", get(d.Position(ctx, 0))(t), w.at.N)
	}
	same(t, "position of another lane", get(d.Position(ctx, 1))(t), 0)
	w.at = get(d.Acquire(ctx, 0))(t)
	same(t, "position with another owner", get(d.Position(ctx, 0))(t), w.at.N)
	same(t, "all", get(d.Outbox(ctx, 0, 0, 100))(t), want)
	same(t, "the first two", get(d.Outbox(ctx, 0, 0, 2))(t), want[:2])
	same(t, "after the second", get(d.Outbox(ctx, 0, want[1].Position, 2))(t), want[2:4])
	same(t, "after the hole", get(d.Outbox(ctx, 0, 4, 100))(t), want[3:])
	same(t, "after the last", get(d.Outbox(ctx, 0, want[6].Position, 9))(t), nil)
	same(t, "of another lane", get(d.Outbox(ctx, 1, 0, 9))(t), nil)
}

func checkCursors(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	other := get(d.Acquire(ctx, 1))(t)
	must(t, d.Commit(ctx, 1, other, &store.Changes{Outbox: []byte("entry")}))
	for range 6 {
		w.write(store.Changes{Outbox: []byte("entry")})
	}
	left := func(what string, n int, cursors ...store.Cursor) {
		t.Helper()
		w.write(store.Changes{Cursors: cursors})
		rows := get(d.Outbox(ctx, 0, 0, 100))(t)
		same(t, what, len(rows), n)
		if n > 0 {
			same(t, what+": the first left", rows[0].Position, int64(7-n))
		}
	}
	drop := func(consumer string) store.Cursor { return store.Cursor{Consumer: consumer, Drop: true} }
	same(t, "cursors at first", get(d.Cursors(ctx, 0))(t), nil)
	left("without consumers", 6)
	left("a slow consumer", 6, store.Cursor{Consumer: "push", Position: 0}, store.Cursor{Consumer: "index", Position: 4})
	left("the slow one went on", 4, store.Cursor{Consumer: "push", Position: 2})
	left("a third one", 4, store.Cursor{Consumer: "gone", Position: 1})
	left("the quick ones went on", 4, store.Cursor{Consumer: "push", Position: 4}, store.Cursor{Consumer: "index", Position: 5})
	left("the third one is dropped", 2, drop("gone"), drop("never there"))
	same(t, "cursors", get(d.Cursors(ctx, 0))(t), []store.Cursor{{Consumer: "index", Position: 5}, {Consumer: "push", Position: 4}})
	left("both are done", 0, store.Cursor{Consumer: "push", Position: 6}, store.Cursor{Consumer: "index", Position: 6})
	left("none is left", 0, drop("push"), drop("index"))
	same(t, "cursors of another lane", get(d.Cursors(ctx, 1))(t), nil)
	same(t, "outbox of another lane", len(get(d.Outbox(ctx, 1, 0, 9))(t)), 1)
	entry := store.OutboxRow{Position: w.at.Next().N, Body: []byte("kept")}
	w.write(store.Changes{Outbox: entry.Body})
	w.write(store.Changes{Cursors: []store.Cursor{drop("push")}})
	same(t, "without consumers again", get(d.Outbox(ctx, 0, 0, 9))(t), []store.OutboxRow{entry})
}

// checkAllMembers reads pages, and writes between them.
func checkAllMembers(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	same(t, "members of nothing", get(d.AllMembers(ctx, store.MemberKey{}, 10))(t), nil)
	const rooms, users = 5, 401
	for r := range rooms {
		for u := range users {
			w.member(chat.RoomID(fmt.Sprint("room ", r)), chat.UserID(fmt.Sprint("user ", u)), chat.Role(u%5))
		}
	}
	w.commit()
	for _, limit := range []int{7, 500, rooms * users} {
		seen := map[store.MemberKey]bool{}
		left := map[chat.RoomID]bool{}
		var last store.MemberKey
		for {
			page := get(d.AllMembers(ctx, last, limit))(t)
			if len(page) > limit {
				t.Fatalf("%d rows, asked for %d", len(page), limit)
			}
			if len(page) == 0 {
				break
			}
			for _, m := range page {
				k := store.MemberKey{Room: m.Room, User: m.User}
				if k.Room != last.Room {
					left[last.Room] = true
				}
				if left[k.Room] || seen[k] || m != w.rooms[k.Room].members[k.User] {
					t.Fatalf("out of order, twice or wrong: %+v", m)
				}
				seen[k], last = true, k
			}
			w.write(store.Changes{})
		}
		same(t, fmt.Sprint("rows in pages of ", limit), len(seen), rooms*users)
	}
}

func checkHasRooms(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	w.write(store.Changes{UserRooms: []store.UserRoom{{User: "ann", Room: "r", Role: chat.RoleMember}}})
	same(t, "without rooms", get(d.HasRooms(ctx))(t), false)
	w.post("r", "ann", "one", "")
	w.commit()
	same(t, "with a room", get(d.HasRooms(ctx))(t), true)
}
