package engine_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/wire"
)

var host = engine.Actor{Server: true}

func as(user chat.UserID) engine.Actor { return engine.Actor{User: user} }

func (n *node) join(t testing.TB, room chat.RoomID, users ...chat.UserID) {
	t.Helper()
	for _, u := range users {
		if _, err := n.Join(t.Context(), as(u), room, engine.JoinOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// post sends messages, many in one commit.
func (n *node) post(t testing.TB, room chat.RoomID, a engine.Actor, count int) {
	t.Helper()
	for count > 0 {
		step := min(count, 500)
		errs := make(chan error, step)
		for range step {
			n.Submit(a, &change.Send{Room: room, Draft: chat.Draft{Text: "x"}}, func(_ change.Reply, err error) { errs <- err })
		}
		for range step {
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
		count -= step
	}
}

func (n *node) do(t testing.TB, a engine.Actor, c change.Change) {
	t.Helper()
	if _, err := n.Do(t.Context(), a, c); err != nil {
		t.Fatalf("%s: %v", c.Kind(), err)
	}
}

// wantUnread holds every answer that counts against one number.
func (n *node) wantUnread(t testing.TB, user chat.UserID, room chat.RoomID, want wire.UnreadCount) {
	t.Helper()
	list, err := n.Rooms(t.Context(), as(user), engine.RoomsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list.Rooms, func(r wire.MyRoom) bool { return r.Room.ID == room })
	if got := list.Rooms[i].Unread; got.Count != want.Count || got.More != want.More {
		t.Errorf("rooms: %+v, want %+v", got, want)
	}
	joined, err := n.Join(t.Context(), as(user), room, engine.JoinOptions{})
	if err != nil || joined.Unread != want {
		t.Errorf("join: %+v %v, want %+v", joined.Unread, err, want)
	}
	all, err := n.Unread(t.Context(), as(user))
	if err != nil {
		t.Fatal(err)
	}
	i = slices.IndexFunc(all.Rooms, func(r wire.UnreadRoom) bool { return r.Room == room })
	var got wire.UnreadCount
	if i >= 0 {
		got = all.Rooms[i].Unread
	}
	if got.Count != want.Count || got.More != want.More || all.Unread.Count < want.Count {
		t.Errorf("unread: %+v, want %+v", all, want)
	}
	read, err := n.Read(t.Context(), as(user), room, 0) // behind the mark: changes nothing
	if err != nil || read.Unread.Count != want.Count || read.Unread.More != want.More {
		t.Errorf("read: %+v %v, want %+v", read, err, want)
	}
}

func TestOwnMessagesAreNeverUnread(t *testing.T) {
	n := newNode(t, nil)
	n.join(t, "r", "ann", "bob")
	n.post(t, "r", as("ann"), 3)
	n.post(t, "r", engine.Actor{User: "ann", Server: true}, 1) // a back end, or another device
	n.wantUnread(t, "ann", "r", wire.UnreadCount{})
	n.wantUnread(t, "bob", "r", wire.UnreadCount{Count: 4, From: 1})
	n.post(t, "r", as("bob"), 2) // an answer, before anything was read
	n.wantUnread(t, "bob", "r", wire.UnreadCount{Count: 4, From: 1})
	n.wantUnread(t, "ann", "r", wire.UnreadCount{Count: 2, From: 5})
	if r, err := n.Read(t.Context(), as("bob"), "r", 2); err != nil || r.Unread.Count != 2 {
		t.Errorf("%+v %v", r, err)
	}
	n.wantUnread(t, "bob", "r", wire.UnreadCount{Count: 2, From: 3})
}

func TestDeletedMessagesAreNotUnread(t *testing.T) {
	n := newNode(t, nil)
	n.join(t, "r", "ann", "bob")
	n.post(t, "r", as("ann"), 3)
	n.do(t, as("ann"), &change.Delete{Room: "r", Seq: 1})
	n.wantUnread(t, "bob", "r", wire.UnreadCount{Count: 2, From: 2})
	n.do(t, as("ann"), &change.Delete{Room: "r", Seq: 2})
	n.do(t, host, &change.Delete{Room: "r", Seq: 3})
	n.wantUnread(t, "bob", "r", wire.UnreadCount{})
}

// A mark that lies further back than the newest messages that are looked at has
// more than was counted, and still begins at the first unread message.
func TestUnreadFarBehind(t *testing.T) {
	n := newNode(t, nil)
	n.join(t, "r", "ann", "bob")
	n.post(t, "r", as("ann"), store.UnreadWindow-1)
	n.wantUnread(t, "bob", "r", wire.UnreadCount{Count: 999, From: 1})
	n.post(t, "r", as("ann"), 1)
	n.wantUnread(t, "bob", "r", wire.UnreadCount{Count: 1000, From: 1})
	n.do(t, as("ann"), &change.Delete{Room: "r", Seq: 1})
	n.post(t, "r", as("bob"), 2)
	n.wantUnread(t, "bob", "r", wire.UnreadCount{Count: 998, More: true, From: 2})
	n.wantUnread(t, "ann", "r", wire.UnreadCount{Count: 2, More: true, From: 1001})
}

// A user that wrote all of the window has read nothing of it, and nothing is unread.
func TestOwnMessagesFarBehind(t *testing.T) {
	n := newNode(t, nil)
	n.join(t, "r", "ann", "bob")
	n.post(t, "r", as("ann"), store.UnreadWindow+5)
	n.wantUnread(t, "ann", "r", wire.UnreadCount{More: true, From: store.UnreadWindow + 1})
}

func TestUnreadInAllRooms(t *testing.T) {
	n := newNode(t, nil)
	for i := range 20 {
		room := chat.RoomID(fmt.Sprintf("r%02d", i))
		n.join(t, room, "ann", "bob")
		n.post(t, room, as("ann"), i)
	}
	yes := true
	n.do(t, as("ann"), &change.SetRoom{Room: "r19", Archived: &yes})
	r, err := n.Unread(t.Context(), as("bob"))
	if err != nil || r.Unread != (wire.UnreadCount{Count: 18 * 19 / 2}) || len(r.Rooms) != 18 || r.Rooms[0].Room != "r01" {
		t.Errorf("%+v %v", r, err)
	}
	_, err = n.Unread(t.Context(), host)
	wantKind(t, "for nobody", err, chat.Invalid)
}

func seqs(ms []chat.Message) (out []chat.Seq) {
	for _, m := range ms {
		out = append(out, m.Seq)
	}
	return out
}

func TestMessagesAround(t *testing.T) {
	n := newNode(t, nil)
	n.join(t, "r", "ann", "bob")
	n.post(t, "r", as("ann"), 20)
	if _, err := n.Read(t.Context(), as("bob"), "r", 9); err != nil {
		t.Fatal(err)
	}
	n.do(t, as("ann"), &change.Delete{Room: "r", Seq: 10})
	for _, c := range []struct {
		user         chat.UserID
		at           engine.Around
		limit        int
		from, to     chat.Seq
		older, newer bool
	}{
		{"bob", engine.Around{Seq: 10}, 6, 7, 12, true, true},
		{"bob", engine.Around{Seq: 10}, 5, 8, 12, true, true},
		{"bob", engine.Around{Seq: 1}, 6, 1, 6, false, true},
		{"bob", engine.Around{Seq: 2}, 6, 1, 6, false, true},
		{"bob", engine.Around{Seq: 20}, 6, 15, 20, true, false},
		{"bob", engine.Around{Seq: 99}, 6, 15, 20, true, false},
		{"bob", engine.Around{Seq: 10}, 100, 1, 20, false, false},
		{"bob", engine.Around{Read: true}, 4, 9, 12, true, true}, // the first unread one is 11
		{"ann", engine.Around{Read: true}, 4, 17, 20, true, false},
	} {
		want := []chat.Seq{}
		for seq := c.from; seq <= c.to; seq++ {
			want = append(want, seq)
		}
		h, err := n.History(t.Context(), as(c.user), "r", store.Page{Limit: c.limit}, c.at)
		if err != nil || !slices.Equal(seqs(h.Messages), want) || h.More != c.older || h.Newer != c.newer {
			t.Errorf("history of %s around %+v, %d: %v older %v newer %v, %v", c.user, c.at, c.limit, seqs(h.Messages), h.More, h.Newer, err)
		}
		j, err := n.Join(t.Context(), as(c.user), "r", engine.JoinOptions{Limit: c.limit, Around: c.at})
		if err != nil || !slices.Equal(seqs(j.Messages), want) || j.More != c.older || j.Newer != c.newer || j.Seq != 20 {
			t.Errorf("join of %s around %+v, %d: %v older %v newer %v, %v", c.user, c.at, c.limit, seqs(j.Messages), j.More, j.Newer, err)
		}
	}
	rev := chat.Rev(3)
	_, err := n.Join(t.Context(), as("ann"), "r", engine.JoinOptions{After: &rev, Around: engine.Around{Seq: 3}})
	wantKind(t, "after and around", err, chat.Invalid)
	_, err = n.History(t.Context(), as("ann"), "r", store.Page{After: 2}, engine.Around{Seq: 3})
	wantKind(t, "history after and around", err, chat.Invalid)
}

func asHost(user chat.UserID) engine.Actor { return engine.Actor{User: user, Server: true} }
