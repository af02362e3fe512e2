package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func roomIDs(rooms []chat.Room) []chat.RoomID {
	var ids []chat.RoomID
	for _, r := range rooms {
		ids = append(ids, r.ID)
	}
	return ids
}

// checkListRooms lists rooms in both orders, with every filter, in pages of every
// size.
func checkListRooms(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	ids := append([]string{"team", "team/a", "team/b", "tean", "t", "team\u00e9", "\U0010ffff", "\U0010ffffx", "\ud7ff", "\ue000"}, odd...)
	for i, id := range ids {
		r := w.room(chat.RoomID(id))
		r.Active, r.Open, r.Archived = int64(1000+i%4), i%2 == 0, i%5 == 0
	}
	w.room("dead").Deleted = true
	w.commit()
	yes, no := true, false
	for _, order := range []store.Order{store.ByID, store.ByActivity} {
		for _, prefix := range []string{"", "team", "team/", "t", "\U0010ffff", "\ud7ff", "absent"} {
			for _, open := range []*bool{nil, &yes, &no} {
				for _, archived := range []bool{false, true} {
					f := store.RoomFilter{Prefix: prefix, Open: open, Archived: archived, Order: order, Limit: 100}
					want := w.listed(f)
					same(t, fmt.Sprintf("rooms of %+v", f), get(d.ListRooms(ctx, f))(t), want)
					for f.Limit = range 3 {
						same(t, fmt.Sprintf("pages of %+v", f), pagesOf(t, d, f), want[:min(len(want), f.Limit*len(want))])
					}
				}
			}
		}
	}
	some := []chat.RoomID{"team", "dead", "absent", "t"}
	same(t, "rooms by id", roomIDs(get(d.Rooms(ctx, some))(t)), []chat.RoomID{"team", "t"})
	same(t, "no rooms", get(d.Rooms(ctx, nil))(t), nil)
}

// listed is what ListRooms should return without a limit.
func (w *world) listed(f store.RoomFilter) []chat.Room {
	var rooms []chat.Room
	for _, r := range w.rooms {
		if !r.Deleted && strings.HasPrefix(string(r.ID), f.Prefix) && (f.Open == nil || *f.Open == r.Open) && (f.Archived || !r.Archived) {
			rooms = append(rooms, r.Room)
		}
	}
	slices.SortFunc(rooms, func(a, b chat.Room) int { return store.CursorOf(&a).Compare(f.Order, store.CursorOf(&b)) })
	return rooms
}

func pagesOf(t *testing.T, d store.Driver, f store.RoomFilter) []chat.Room {
	var all []chat.Room
	for {
		page := get(d.ListRooms(ctx, f))(t)
		all = append(all, page...)
		if len(page) == 0 {
			return all
		}
		f.After = store.CursorOf(&page[len(page)-1])
	}
}

// checkOthers compares the counts of every range of a room with the room.
func checkOthers(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	long := strings.Repeat("long ", 3000) // more than a page of any database
	for i := range 12 {
		text := "short"
		if i%3 == 0 {
			text = long
		}
		w.post("r", []chat.UserID{"ann", "bob", "cid"}[i%5%3], text, "")
		w.post("s", "bob", "of another room", "")
	}
	w.commit()
	for _, seq := range []chat.Seq{1, 4, 5, 12} {
		w.remove("r", seq)
	}
	w.post("r", "bob", "new", "")
	w.remove("r", 13) // written and deleted in one commit
	w.commit()
	var ranges []store.Range
	var want []store.Others
	for _, user := range []chat.UserID{"ann", "bob", "absent"} {
		for from := chat.Seq(0); from <= 14; from++ {
			for to := from - 1; to <= 14; to++ {
				r := store.Range{Room: "r", User: user, From: from, To: to, First: to%2 == 0}
				ranges, want = append(ranges, r), append(want, w.others(&r))
			}
		}
	}
	ranges = append(ranges, store.Range{Room: "absent", User: "ann", To: 9}, store.Range{Room: "s", User: "bob", To: 9})
	want = append(want, store.Others{}, store.Others{})
	same(t, "others", get(d.Others(ctx, ranges))(t), want)
	same(t, "others in nothing", get(d.Others(ctx, nil))(t), []store.Others{})
}

func (w *world) others(r *store.Range) (o store.Others) {
	for _, m := range w.rooms[r.Room].messages {
		if m.Seq > r.From && m.Seq <= r.To && m.User != r.User && !m.Deleted {
			if o.Count++; r.First && o.First == 0 {
				o.First = m.Seq
			}
		}
	}
	return o
}

// checkMessagesBy finds a user's messages in all rooms, in steps of every size.
func checkMessagesBy(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	want := map[store.MessageRef]bool{}
	for i := range 40 {
		user, room := chat.UserID(fmt.Sprint("u", i%3)), chat.RoomID(odd[i%7%len(odd)])
		if seq := w.post(room, user, "x", ""); user == "u1" {
			want[store.MessageRef{Room: room, Seq: seq}] = true
		}
	}
	w.commit()
	for ref := range want {
		w.remove(ref.Room, ref.Seq)
		delete(want, ref)
		break
	}
	w.commit()
	for _, limit := range []int{1, 3, 40, 100} {
		got := map[store.MessageRef]bool{}
		for after := (store.MessageRef{}); ; {
			found, last, err := d.MessagesBy(ctx, "u1", after, limit)
			must(t, err)
			if len(found) > limit {
				t.Fatalf("%d messages of %d looked at", len(found), limit)
			}
			for _, ref := range found {
				got[ref] = true
			}
			if after = last; last == (store.MessageRef{}) {
				break
			}
		}
		same(t, fmt.Sprint("messages in steps of ", limit), got, want)
	}
}

// checkRemoval deletes a room, and removes its rows step by step.
func checkRemoval(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	for i := range store.RemovalRows + 20 {
		w.post("r", "ann", "x", "")
		w.react("r", chat.Seq(i+1), "bob", "👍", true)
		w.member("r", chat.UserID(fmt.Sprint("u", i)), chat.Role(i%5))
	}
	w.post("s", "ann", "of another room", "")
	w.member("s", "ann", chat.RoleOwner)
	w.batch.more.Online = []store.OnlineChange{{Room: "r", OnlineEntry: store.OnlineEntry{User: "ann", Node: "n1"}, On: true}}
	w.commit()
	r := w.rooms["r"]
	delete(w.rooms, "r")
	r.Deleted, r.LastSeq, r.Members, r.Rev = true, 0, 0, r.Rev+1
	w.write(store.Changes{Rooms: []chat.Room{r.Room}})
	checkDeletedRoom(t, d)
	same(t, "the row for its lane", get(d.Load(ctx, &store.Need{Rooms: []chat.RoomID{"r"}}))(t).Rooms["r"], r.Room)
	steps := 0
	for {
		left := get(d.Load(ctx, &store.Need{Removals: []chat.RoomID{"r"}}))(t).Removals["r"]
		if left.Empty() {
			break
		}
		if n := len(left.Members) + len(left.Reactions) + len(left.Online); n > store.RemovalRows || left.To-left.From >= store.RemovalRows {
			t.Fatalf("a step of %d rows and messages %d to %d", n, left.From, left.To)
		}
		w.write(store.Changes{Removals: []*store.Removal{left}})
		steps++
	}
	if steps < 7 {
		t.Errorf("%d steps", steps)
	}
	checkDeletedRoom(t, d)
	w.verify()
	same(t, "a room that never was", get(d.Load(ctx, &store.Need{Removals: []chat.RoomID{"absent"}}))(t).Removals["absent"].Empty(), true)
}

// checkDeletedRoom asks for everything of a deleted room that has rows.
func checkDeletedRoom(t *testing.T, d store.Driver) {
	_, err := d.Room(ctx, "r")
	wantKind(t, err, chat.NotFound)
	_, err = d.Member(ctx, "r", "u1")
	wantKind(t, err, chat.NotFound)
	_, err = d.DeltaRows(ctx, "r", 0, store.Space{Items: 10})
	wantKind(t, err, chat.NotFound)
	ms, more, err := d.Messages(ctx, "r", store.Page{Limit: 3})
	must(t, err)
	if len(ms) > 0 || more {
		t.Errorf("%d messages, more %v", len(ms), more)
	}
	same(t, "members", get(d.Members(ctx, "r", chat.RoleNone, "", 9))(t), nil)
	same(t, "heads", get(d.Heads(ctx, []chat.RoomID{"r"}))(t), nil)
	same(t, "rooms", roomIDs(get(d.ListRooms(ctx, store.RoomFilter{Limit: 9}))(t)), []chat.RoomID{"s"})
	same(t, "faults", get(d.Check(ctx, nil))(t), nil)
}
