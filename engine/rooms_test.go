package engine_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
)

// put makes many rooms at once, with the user in each.
func (n *node) put(t testing.TB, user chat.UserID, rooms ...chat.RoomID) {
	t.Helper()
	var wg sync.WaitGroup
	for part := range slices.Chunk(rooms, len(rooms)/16+1) {
		wg.Go(func() {
			for _, id := range part {
				n.do(t, host, &change.SetRoom{Room: id})
				n.do(t, host, &change.SetMember{Room: id, User: user, Role: chat.RoleMember})
			}
		})
	}
	wg.Wait()
}

// allPages asks for pages to the end.
func (n *node) allPages(t testing.TB, a engine.Actor, o engine.RoomsOptions) (all []chat.RoomID, pages int) {
	t.Helper()
	for {
		r, err := n.Rooms(t.Context(), a, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range r.Rooms {
			all = append(all, m.Room.ID)
		}
		pages++
		if r.More != (r.Next != "") {
			t.Fatalf("more is %v, next %q", r.More, r.Next)
		}
		if !r.More {
			return all, pages
		}
		o.After = r.Next
	}
}

// A member of more rooms than a page has finds all of them, and the one with the
// newest message first if asked for.
func TestRoomsBeyondAPage(t *testing.T) {
	n := newNode(t, nil)
	var ids []chat.RoomID
	for i := range 1050 {
		ids = append(ids, chat.RoomID(fmt.Sprintf("order-%04d", i)))
	}
	n.put(t, "agent", ids...)
	for _, limit := range []int{0, 90, 1050, 5000} {
		all, pages := n.allPages(t, as("agent"), engine.RoomsOptions{Limit: limit})
		if !slices.Equal(all, ids) {
			t.Errorf("limit %d: %d rooms in %d pages", limit, len(all), pages)
		}
	}
	n.post(t, "order-1049", asHost("shop"), 1)
	for _, limit := range []int{1, 100, 0} {
		first, err := n.Rooms(t.Context(), as("agent"), engine.RoomsOptions{Limit: limit, Order: "activity"})
		if err != nil || first.Rooms[0].Room.ID != "order-1049" || first.Rooms[0].Unread.Count != 1 || first.Rooms[0].Last == nil || !first.More {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
	all, _ := n.allPages(t, as("agent"), engine.RoomsOptions{Order: "activity", Limit: 250})
	if all[0] != "order-1049" {
		t.Errorf("the first is %s", all[0])
	}
	if slices.Sort(all); !slices.Equal(all, ids) {
		t.Errorf("%d rooms by activity", len(all))
	}
	for _, o := range []engine.RoomsOptions{{Order: "size"}, {Order: "activity", After: "order-0001"}} {
		_, err := n.Rooms(t.Context(), as("agent"), o)
		wantKind(t, fmt.Sprintf("%+v", o), err, chat.Invalid)
	}
}

func TestRoomsByActivity(t *testing.T) {
	var ticks atomic.Int64 // two lanes ask for the time
	n := newNodeAt(t, func() time.Time { return time.UnixMilli(1_700_000_000_000 + 1000*ticks.Add(1)) })
	n.join(t, "a", "ann")
	n.join(t, "b", "ann")
	n.join(t, "c", "ann")
	n.post(t, "a", as("ann"), 1)
	n.post(t, "b", as("ann"), 1)
	n.do(t, as("ann"), &change.Edit{Room: "a", Seq: 1, Text: "an edit is no activity"})
	if all, _ := n.allPages(t, as("ann"), engine.RoomsOptions{Order: "activity", Limit: 1}); !slices.Equal(all, []chat.RoomID{"b", "a", "c"}) {
		t.Errorf("%v", all)
	}
}

// An archived room is as it was left, and in no list that does not ask for it.
func TestArchivedRooms(t *testing.T) {
	n := newNode(t, nil)
	ctx := t.Context()
	n.join(t, "a", "ann", "bob")
	n.join(t, "b", "ann")
	n.post(t, "a", as("bob"), 2)
	yes, no := true, false
	_, err := n.Do(ctx, as("bob"), &change.SetRoom{Room: "a", Archived: &yes})
	wantKind(t, "archived by a member", err, chat.Forbidden)
	n.do(t, as("ann"), &change.SetRoom{Room: "a", Archived: &yes})
	n.do(t, as("ann"), &change.SetRoom{Room: "a", Archived: &yes}) // nothing new; behind its answer the event of the first is out
	if evs := n.published("a"); evs[len(evs)-1].Kind != chat.EventRoom || !evs[len(evs)-1].Info.Archived {
		t.Errorf("%+v", evs[len(evs)-1])
	}
	for what, c := range map[string]change.Change{
		"a message":  &change.Send{Room: "a", Draft: chat.Draft{Text: "x"}},
		"an edit":    &change.Edit{Room: "a", Seq: 1, Text: "y"},
		"a reaction": &change.React{Room: "a", Seq: 1, Emoji: "👍", On: true},
	} {
		_, err := n.Do(ctx, as("bob"), c)
		wantKind(t, what, err, chat.Forbidden)
	}
	_, err = n.Do(ctx, as("ann"), &change.Send{Room: "a", Draft: chat.Draft{Text: "x"}})
	wantKind(t, "a message of the owner", err, chat.Forbidden)
	for _, user := range []chat.UserID{"ann", "bob"} { // its owner and a member
		wantKind(t, "typing of "+string(user), n.Typing(ctx, as(user), "a", true), chat.Forbidden)
	}
	if err := n.Typing(ctx, asHost("shop"), "a", true); err != nil {
		t.Errorf("typing of the host: %v", err)
	}
	n.do(t, asHost("shop"), &change.Send{Room: "a", Draft: chat.Draft{Text: "moved to b"}})
	if r, err := n.GetRoom(ctx, as("bob"), "a"); err != nil || !r.Room.Archived {
		t.Errorf("%+v %v", r, err)
	}
	for _, c := range []struct {
		o    engine.RoomsOptions
		want []chat.RoomID
	}{
		{engine.RoomsOptions{Limit: 1}, []chat.RoomID{"b"}},
		{engine.RoomsOptions{Limit: 1, Order: "activity"}, []chat.RoomID{"b"}},
		{engine.RoomsOptions{Limit: 1, Archived: true}, []chat.RoomID{"a", "b"}},
		{engine.RoomsOptions{Limit: 1, Archived: true, Order: "activity"}, []chat.RoomID{"a", "b"}},
	} {
		if all, _ := n.allPages(t, as("ann"), c.o); !slices.Equal(all, c.want) {
			t.Errorf("%+v: %v", c.o, all)
		}
	}
	n.do(t, as("ann"), &change.SetRoom{Room: "a", Archived: &no})
	n.do(t, as("bob"), &change.Send{Room: "a", Draft: chat.Draft{Text: "x"}})
}

func TestBackEndListsRooms(t *testing.T) {
	n := newNode(t, nil)
	yes := true
	for i, id := range []chat.RoomID{"shop/1", "shop/2", "team", "shop", "shoe"} {
		open := i%2 == 0
		n.do(t, host, &change.SetRoom{Room: id, Open: &open})
	}
	n.do(t, host, &change.SetRoom{Room: "shop/2", Archived: &yes})
	list := func(o engine.RoomsOptions) (all []chat.RoomID) {
		t.Helper()
		for o.Limit = 1; ; {
			r, err := n.ListRooms(t.Context(), host, o)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range r.Rooms {
				all = append(all, r.ID)
			}
			if o.After = r.Next; !r.More {
				return all
			}
		}
	}
	for _, c := range []struct {
		o    engine.RoomsOptions
		want []chat.RoomID
	}{
		{engine.RoomsOptions{}, []chat.RoomID{"shoe", "shop", "shop/1", "team"}},
		{engine.RoomsOptions{Prefix: "shop", Archived: true}, []chat.RoomID{"shop", "shop/1", "shop/2"}},
		{engine.RoomsOptions{Open: &yes}, []chat.RoomID{"shoe", "shop/1", "team"}},
		{engine.RoomsOptions{Prefix: "none"}, nil},
	} {
		if got := list(c.o); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v", c.o, got)
		}
	}
	n.post(t, "team", asHost("shop"), 1)
	if got := list(engine.RoomsOptions{Order: "activity"}); len(got) != 4 || got[0] != "team" {
		t.Errorf("by activity: %v", got)
	}
	_, err := n.ListRooms(t.Context(), as("ann"), engine.RoomsOptions{})
	wantKind(t, "a user", err, chat.Forbidden)
}
