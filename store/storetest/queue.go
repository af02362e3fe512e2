package storetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func checkOutbox(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	var want []store.Entry
	for i := range 7 {
		if i == 3 {
			w.write(store.Changes{}) // a commit without an entry leaves a hole
		}
		e := store.Entry{
			Position: w.at.Next().N,
			Rooms:    []store.RoomSpan{{Room: chat.RoomID(odd[i]), From: 2, To: chat.Rev(2 + i), Seq: chat.Seq(i)}, {Room: "<&>", From: 1, To: 1}},
			Members:  []chat.Member{{Room: "r", User: chat.UserID(odd[i]), Name: "<name> & \"co\"", Role: chat.Role(i % 5), Rev: 9, Since: 1}},
		}
		if i == 5 {
			e.Rooms, e.Members = nil, nil
		}
		w.write(store.Changes{Outbox: &e})
		want = append(want, e)
	}
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
	must(t, d.Commit(ctx, 1, other, &store.Changes{Outbox: &store.Entry{Position: 1, Rooms: []store.RoomSpan{{Room: "r", From: 1, To: 1}}}}))
	for range 6 {
		w.write(store.Changes{Outbox: &store.Entry{Position: w.at.Next().N}})
	}
	left := func(what string, n int, cursors ...store.Cursor) {
		t.Helper()
		w.write(store.Changes{Cursors: cursors})
		es := get(d.Outbox(ctx, 0, 0, 100))(t)
		same(t, what, len(es), n)
		if n > 0 {
			same(t, what+": the first left", es[0].Position, int64(7-n))
		}
	}
	same(t, "a cursor at first", get(d.Cursor(ctx, 0, "push"))(t), 0)
	left("without consumers", 6)
	left("a slow consumer", 6, store.Cursor{Consumer: "push", Position: 0}, store.Cursor{Consumer: "index", Position: 4})
	left("the slow one went on", 4, store.Cursor{Consumer: "push", Position: 2})
	left("the quick one went on", 4, store.Cursor{Consumer: "index", Position: 6})
	left("both are done", 0, store.Cursor{Consumer: "push", Position: 6})
	same(t, "push", get(d.Cursor(ctx, 0, "push"))(t), 6)
	same(t, "index", get(d.Cursor(ctx, 0, "index"))(t), 6)
	same(t, "push in another lane", get(d.Cursor(ctx, 1, "push"))(t), 0)
	same(t, "outbox of another lane", len(get(d.Outbox(ctx, 1, 0, 9))(t)), 1)
}

// checkEachMember goes over more rows than any page, and uses the driver while
// it does.
func checkEachMember(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	const rooms, users = 5, 401
	for r := range rooms {
		for u := range users {
			w.member(chat.RoomID(fmt.Sprint("room ", r)), chat.UserID(fmt.Sprint("user ", u)), chat.Role(u%5))
		}
	}
	w.commit()
	seen := map[store.MemberKey]bool{}
	left := map[chat.RoomID]bool{}
	var room chat.RoomID
	must(t, d.EachMember(ctx, func(m chat.Member) error {
		if m.Room != room {
			left[room], room = true, m.Room
			w.write(store.Changes{}) // the caller may write meanwhile
			if _, err := d.Room(ctx, m.Room); err != nil {
				return err
			}
		}
		if k := (store.MemberKey{Room: m.Room, User: m.User}); left[m.Room] || seen[k] || m != w.rooms[m.Room].members[m.User] {
			return fmt.Errorf("out of order, twice or wrong: %+v", m)
		} else {
			seen[k] = true
		}
		return nil
	}))
	same(t, "rows", len(seen), rooms*users)

	stop, n := errors.New("enough"), 0
	err := d.EachMember(ctx, func(chat.Member) error {
		n++
		return stop
	})
	if !errors.Is(err, stop) || n != 1 {
		t.Fatalf("fn failed at once; EachMember called it %d times and returned %v", n, err)
	}
}
