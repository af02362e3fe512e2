package engine_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/store"
)

// ending is a driver that calls a function, once, behind a question about a member.
type ending struct {
	store.Driver
	next *atomic.Pointer[func()]
}

func (d *ending) Member(ctx context.Context, room chat.RoomID, user chat.UserID) (chat.Member, error) {
	m, err := d.Driver.Member(ctx, room, user)
	if do := d.next.Swap(nil); do != nil {
		(*do)()
	}
	return m, err
}

// The answer of a join is that of a member: a membership that ends when the role was read
// ends behind the answer's rev, so that its event is news to the client, or there is no
// answer.
func TestMembershipEndsWhileTheRoomIsRead(t *testing.T) {
	var next atomic.Pointer[func()]
	n := makeNode(t, time.Now, func(d store.Driver) store.Driver { return &ending{d, &next} }, nil)
	after := chat.Rev(0)
	for what, o := range map[string]engine.JoinOptions{
		"now": {}, "around": {Around: engine.Around{Read: true}}, "after": {After: &after}, "again": {After: &after, Again: true},
	} {
		for role, kind := range map[chat.Role]chat.Kind{chat.RoleNone: chat.NotMember, chat.RoleBanned: chat.Forbidden} {
			room := chat.RoomID(what + role.String())
			for _, user := range []chat.UserID{"ann", "bob"} {
				if _, err := n.Join(t.Context(), as(user), room, engine.JoinOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			var ended chat.Rev
			put := func() {
				r, err := n.Do(t.Context(), engine.Actor{Server: true}, &change.SetMember{Room: room, User: "bob", Role: role})
				if err != nil {
					t.Error(err)
				}
				ended = r.Rev
			}
			next.Store(&put)
			reply, err := n.Join(t.Context(), as("bob"), room, o)
			switch {
			case ended == 0:
				t.Errorf("%s: the membership did not end", room)
			case err == nil && reply.Rev >= ended:
				t.Errorf("%s: a %s at %d, and the membership ended with %d", room, reply.Role, reply.Rev, ended)
			case err != nil && chat.KindOf(err) != kind:
				t.Errorf("%s: %v", room, err)
			}
		}
	}
}

// A user's rooms follow memberships later. Until they do, the list and what is unread already
// show nothing of a room whose membership has ended, and the list the role that a room has
// given.
func TestRoomsBeforeTheUsersSideFollows(t *testing.T) {
	n := newNode(t, nil)
	roles := map[chat.RoomID]chat.Role{"a": chat.RoleNone, "b": chat.RoleBanned, "c": chat.RoleModerator}
	for room := range roles {
		n.join(t, room, "ann", "bob")
		n.post(t, room, as("ann"), 1)
	}
	n.outbox.Close(t.Context()) // nothing follows any more
	for room, role := range roles {
		done := make(chan error, 1)
		n.Submit(host, &change.SetMember{Room: room, User: "bob", Role: role}, func(_ change.Reply, err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		n.post(t, room, as("ann"), 1)
	}
	for _, order := range []string{"id", "activity"} {
		r, err := n.Rooms(t.Context(), as("bob"), engine.RoomsOptions{Order: order})
		if err != nil || r.More {
			t.Fatalf("by %s: more %v, %v", order, r.More, err)
		}
		if len(r.Rooms) != 1 || r.Rooms[0].Room.ID != "c" || r.Rooms[0].Role != chat.RoleModerator || r.Rooms[0].Last == nil || r.Rooms[0].Last.Seq != 2 {
			t.Errorf("by %s: %+v", order, r.Rooms)
		}
	}
	all, err := n.Unread(t.Context(), as("bob"))
	if err != nil || len(all.Rooms) != 1 || all.Rooms[0].Room != "c" || all.Unread.Count != all.Rooms[0].Unread.Count {
		t.Errorf("unread: %+v, %v", all, err)
	}
}

// The newest messages, and what changed, hold nothing that was posted behind the end of the
// membership that was checked.
func TestMembershipEndsWhileMessagesAreRead(t *testing.T) {
	var next atomic.Pointer[func()]
	n := makeNode(t, time.Now, func(d store.Driver) store.Driver { return &ending{d, &next} }, nil)
	for what, read := range map[string]func(chat.RoomID) error{
		"history": func(room chat.RoomID) error {
			_, err := n.History(t.Context(), as("bob"), room, store.Page{}, engine.Around{})
			return err
		},
		"changes": func(room chat.RoomID) error {
			_, err := n.Changes(t.Context(), as("bob"), room, 0, 0)
			return err
		},
	} {
		for _, role := range []chat.Role{chat.RoleNone, chat.RoleBanned} {
			room := chat.RoomID(what + role.String())
			n.join(t, room, "ann", "bob")
			if err := read(room); err != nil {
				t.Errorf("%s: a member: %v", room, err)
			}
			put := func() {
				n.do(t, host, &change.SetMember{Room: room, User: "bob", Role: role})
				n.post(t, room, as("ann"), 1)
			}
			next.Store(&put)
			wantKind(t, string(room), read(room), chat.NotMember)
		}
	}
}
