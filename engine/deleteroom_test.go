package engine_test

import (
	"context"
	"runtime"
	"slices"
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/wire"
)

// again does what a client does that is told busy.
func (n *node) again(t testing.TB, a engine.Actor, room chat.RoomID) *wire.JoinReply {
	t.Helper()
	for {
		r, err := n.Join(t.Context(), a, room, engine.JoinOptions{})
		if chat.KindOf(err) != chat.Busy {
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		runtime.Gosched()
	}
}

// From its deletion on a room does not exist, for any user and in any list.
func TestDeletedRoom(t *testing.T) {
	n := newNode(t, func(c *engine.Config) { c.UsersMakeRooms = false })
	ctx := t.Context()
	n.put(t, "ann", "r", "s")
	n.do(t, host, &change.SetMember{Room: "r", User: "ann", Role: chat.RoleOwner})
	n.do(t, host, &change.SetMember{Room: "r", User: "bob", Role: chat.RoleMember})
	n.post(t, "r", as("ann"), 700)
	n.do(t, as("bob"), &change.React{Room: "r", Seq: 5, Emoji: "👍", On: true})
	_, err := n.Do(ctx, as("bob"), &change.DeleteRoom{Room: "r"})
	wantKind(t, "a member deletes it", err, chat.Forbidden)
	n.do(t, as("ann"), &change.DeleteRoom{Room: "r"})
	n.do(t, host, &change.DeleteRoom{Room: "r"}) // was deleted before; behind its answer the event of the deletion is out
	if evs := n.published("r"); evs[len(evs)-1].Kind != chat.EventRoom || !evs[len(evs)-1].Info.Deleted {
		t.Errorf("%+v", evs[len(evs)-1])
	}
	for what, ask := range map[string]func() error{
		"room":    func() error { _, err := n.GetRoom(ctx, host, "r"); return err },
		"changes": func() error { _, err := n.Changes(ctx, host, "r", 0, 0); return err },
		"members": func() error { _, err := n.Members(ctx, host, "r", chat.RoleNone, "", 0); return err },
		"a member": func() error {
			_, err := n.Do(ctx, host, &change.SetMember{Room: "r", User: "cid", Role: chat.RoleMember})
			return err
		},
		"message": func() error {
			_, err := n.Do(ctx, asHost("x"), &change.Send{Room: "r", Draft: chat.Draft{Text: "x"}})
			return err
		},
	} {
		wantKind(t, what, ask(), chat.NotFound)
	}
	_, err = n.Join(ctx, as("bob"), "r", engine.JoinOptions{})
	wantKind(t, "join", err, chat.Forbidden) // as of a room that bob is not admitted to
	if h, err := n.History(ctx, host, "r", store.Page{}, engine.Around{}); err == nil && len(h.Messages) > 0 {
		t.Errorf("%d messages for the back end", len(h.Messages))
	}
	_, err = n.History(ctx, as("bob"), "r", store.Page{}, engine.Around{})
	wantKind(t, "history", err, chat.NotMember)
	if all, _ := n.allPages(t, as("bob"), engine.RoomsOptions{}); len(all) != 0 {
		t.Errorf("bob's rooms: %v", all)
	}
	if r, err := n.ListRooms(ctx, host, engine.RoomsOptions{}); err != nil || len(r.Rooms) != 1 {
		t.Errorf("all rooms: %+v %v", r, err)
	}
	n.outbox.Close(context.Background())
	n.openOutbox(t) // the projection may have ended before the removal
	n.outbox.Close(context.Background())
	left, err := n.store.Shards()[n.store.ShardOf(chat.RoomID("r").Slot())].Load(ctx, &store.Need{Removals: []chat.RoomID{"r"}})
	if err != nil || !left.Removals["r"].Empty() {
		t.Errorf("left of it: %+v %v", left, err)
	}
	if u, err := n.store.User("bob").UserRoom(ctx, "bob", "r"); err != nil || u.Role.Present() || u.Read != 0 {
		t.Errorf("left of bob's side: %+v %v", u, err)
	}
	if lines, err := n.store.Check(ctx); err != nil || lines != nil {
		t.Errorf("%v %v", lines, err)
	}
}

// A room made under the name of a deleted one has nothing of it but the count of
// revs: not its members, bans, messages, keys or read marks.
func TestRoomMadeAgain(t *testing.T) {
	n := newNode(t, nil)
	ctx := t.Context()
	n.join(t, "r", "ann", "bob", "eve")
	keyed := func() change.Change {
		return &change.Send{Room: "r", Draft: chat.Draft{Text: "x", Key: "k"}}
	}
	n.do(t, as("ann"), keyed())
	n.post(t, "r", as("ann"), 600)
	n.do(t, as("ann"), &change.SetMember{Room: "r", User: "eve", Role: chat.RoleBanned})
	if _, err := n.Read(ctx, as("bob"), "r", 500); err != nil {
		t.Fatal(err)
	}
	old, err := n.Join(ctx, as("bob"), "r", engine.JoinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n.do(t, as("ann"), &change.DeleteRoom{Room: "r"})
	made := n.again(t, as("eve"), "r")
	if made.Role != chat.RoleOwner || made.Seq != 0 || made.Room.Members != 1 || made.Rev <= old.Rev || len(made.Members) != 1 {
		t.Errorf("%+v", made)
	}
	_, err = n.Do(ctx, as("bob"), &change.Send{Room: "r", Draft: chat.Draft{Text: "x"}})
	wantKind(t, "a member of the old room", err, chat.NotMember)
	back, err := n.Join(ctx, as("bob"), "r", engine.JoinOptions{After: &old.Rev})
	if err != nil || !back.Reset || back.Role != chat.RoleMember || back.Read != 0 {
		t.Errorf("%+v %v", back, err)
	}
	if c, err := n.Changes(ctx, as("bob"), "r", old.Rev, 0); err != nil || !c.Delta.Reset {
		t.Errorf("%+v %v", c, err)
	}
	n.join(t, "r", "ann")
	n.do(t, as("ann"), keyed())
	n.wantUnread(t, "bob", "r", wire.UnreadCount{Count: 1, From: 1})
	if r, err := n.Read(ctx, as("bob"), "r", 1); err != nil || r.Seq != 1 || r.Unread.Count != 0 {
		t.Errorf("%+v %v", r, err)
	}
	back, err = n.Join(ctx, as("bob"), "r", engine.JoinOptions{After: &back.Rev})
	if err != nil || back.Reset || len(back.Messages) != 1 {
		t.Errorf("%+v %v", back, err)
	}
}

// What a user wrote becomes tombstones, in all rooms, also where the user is no
// member and never was; of others nothing.
func TestDeleteMessagesOfAUser(t *testing.T) {
	n := newNode(t, nil)
	ctx := t.Context()
	for _, room := range []chat.RoomID{"a", "b", "c", "d"} {
		n.join(t, room, "ann", "bob")
		n.post(t, room, as("bob"), 300)
		n.post(t, room, as("ann"), 40)
	}
	n.do(t, as("bob"), &change.Leave{Room: "b"})
	n.do(t, host, &change.SetRoom{Room: "e"})
	n.post(t, "e", asHost("bob"), 7)
	deleted, calls := 0, 0
	for after := ""; ; calls++ {
		r, err := n.DeleteMessages(ctx, host, "bob", after)
		if err != nil {
			t.Fatal(err)
		}
		deleted += r.Deleted
		if after = r.Next; !r.More {
			break
		}
	}
	if deleted != 4*300+7 || calls == 0 {
		t.Errorf("%d deleted in %d calls", deleted, calls+1)
	}
	for _, room := range []chat.RoomID{"a", "b", "c", "d", "e"} {
		ms, _, err := n.store.Room(room).Messages(ctx, room, store.Page{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range ms {
			if m.Deleted != (m.User == "bob") {
				t.Fatalf("%+v", m)
			}
		}
	}
	n.post(t, "e", asHost("ann"), 1) // behind its answer the events of the deletions are out
	if evs := n.published("e"); !slices.ContainsFunc(evs, func(ev *chat.Event) bool { return ev.Kind == chat.EventDeleted }) {
		t.Errorf("none of %d events is a deletion", len(evs))
	}
	if r, err := n.DeleteMessages(ctx, host, "bob", ""); err != nil || r.Deleted != 0 {
		t.Errorf("again: %+v %v", r, err)
	}
	_, err := n.DeleteMessages(ctx, as("bob"), "bob", "")
	wantKind(t, "by a user", err, chat.Forbidden)
}
