package projection_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testlanes"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/projection"
	"github.com/roomtide/roomtide/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is lanes over real databases, and the projection beside them.
type world struct {
	t      *testing.T
	dir    string
	store  *store.Store
	lanes  *lane.Lanes
	outbox *outbox.Outbox
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir()}
	w.open()
	t.Cleanup(w.close)
	return w
}

func (w *world) open() {
	w.t.Helper()
	w.store, w.lanes = testlanes.Open(w.t, w.dir, 2)
	var err error
	w.outbox, err = outbox.Open(w.t.Context(), outbox.Config{
		Store: w.store, Lanes: w.lanes, Consumers: []outbox.Consumer{projection.UserRooms(w.store, w.lanes), projection.Names(w.store, w.lanes)},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) close() {
	w.catchUp()
	testlanes.Close(w.t, w.store, w.lanes)
}

// catchUp ends the outbox, which works on everything first.
func (w *world) catchUp() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	w.outbox.Close(ctx)
}

func (w *world) do(op change.Change) {
	w.t.Helper()
	if _, err := w.lanes.Do(w.t.Context(), op); err != nil {
		w.t.Fatalf("%T: %v", op, err)
	}
}

func (w *world) join(room chat.RoomID, users ...chat.UserID) {
	w.t.Helper()
	for _, u := range users {
		w.do(&change.Join{Room: room, User: u, Create: &change.RoomSpec{Open: true}, Own: true})
	}
}

func (w *world) send(room chat.RoomID, user chat.UserID) {
	w.t.Helper()
	w.do(&change.Send{Room: room, User: user, Draft: chat.Draft{Text: "x"}})
}

func (w *world) rooms(user chat.UserID) []store.UserRoom {
	w.t.Helper()
	rooms, err := w.store.User(user).UserRooms(context.Background(), user, "", 10)
	if err != nil {
		w.t.Fatal(err)
	}
	return rooms
}

func TestMyRoomsFollowMemberships(t *testing.T) {
	w := newWorld(t)
	w.join("a", "ann", "bob")
	w.send("a", "bob")
	w.join("b", "ann")
	w.do(&change.Leave{Room: "b", User: "ann"})
	w.join("c", "ann")
	w.send("c", "ann")
	w.join("c", "cid") // with one message there
	w.catchUp()
	rooms := w.rooms("ann")
	if len(rooms) != 2 || rooms[0].Room != "a" || rooms[1].Room != "c" || rooms[0].Role != chat.RoleOwner {
		t.Errorf("ann's rooms: %+v", rooms)
	}
	if rooms := w.rooms("cid"); len(rooms) != 1 || rooms[0].Read != 1 {
		t.Errorf("cid's rooms: %+v", rooms)
	}
	w.lanes.Close()
	if err := w.store.Close(); err != nil {
		t.Error(err)
	}
	w.open()
	if again := w.rooms("ann"); !reflect.DeepEqual(again, rooms) {
		t.Errorf("after a restart %+v, before %+v", again, rooms)
	}
}

// Entries that are delivered again, also out of order, change nothing.
func TestTwiceIsOnce(t *testing.T) {
	w := newWorld(t)
	w.join("a", "ann", "bob")
	w.do(&change.SetMember{Room: "a", By: "ann", User: "bob", Role: chat.RoleModerator})
	w.send("a", "ann")
	w.do(&change.Read{User: "bob", Room: "a", Seq: 1})
	w.catchUp()
	before := w.rooms("bob")
	if len(before) != 1 || before[0].Role != chat.RoleModerator {
		t.Fatalf("bob's rooms: %+v", before)
	}
	entries := []store.Entry{
		{Rooms: []store.RoomSpan{{Room: "a", Seq: 9, Members: []chat.Member{{Room: "a", User: "bob", Role: chat.RoleModerator, Rev: 3}}}}},
		{Rooms: []store.RoomSpan{{Room: "a", Seq: 9, Members: []chat.Member{{Room: "a", User: "bob", Role: chat.RoleNone, Rev: 2}}}}},
	}
	for i := range entries {
		if err := consume(t, projection.UserRooms(w.store, w.lanes), &entries[i]); err != nil {
			t.Fatal(err)
		}
	}
	if after := w.rooms("bob"); !reflect.DeepEqual(after, before) {
		t.Errorf("bob's rooms are %+v, they were %+v", after, before)
	}
}

// refusing is lanes of which one user's refuses.
type refusing struct {
	projection.Lanes
	user chat.UserID
}

func (r refusing) Submit(op change.Change, done change.Done) {
	p, isProject := op.(*change.Project)
	n, isRename := op.(*change.Rename)
	if isProject && p.Member.User == r.user || isRename && n.User == r.user {
		done(change.Reply{}, chat.E(chat.Busy, ""))
		return
	}
	r.Lanes.Submit(op, done)
}

// An entry of which a part failed is not done.
func TestFailureIsToldToTheOutbox(t *testing.T) {
	w := newWorld(t)
	e := &store.Entry{Rooms: []store.RoomSpan{{Room: "a", Members: []chat.Member{
		{Room: "a", User: "ann", Role: chat.RoleMember, Rev: 1},
		{Room: "a", User: "bob", Role: chat.RoleMember, Rev: 2},
		{Room: "a", User: "cid", Role: chat.RoleMember, Rev: 3},
	}}}}
	err := consume(t, projection.UserRooms(w.store, refusing{w.lanes, "bob"}), e)
	if chat.KindOf(err) != chat.Busy {
		t.Errorf("%v", err)
	}
	for user, want := range map[chat.UserID]int{"ann": 1, "bob": 0, "cid": 1} {
		if rooms := w.rooms(user); len(rooms) != want {
			t.Errorf("%s: %+v", user, rooms)
		}
	}
}

func TestRebuild(t *testing.T) {
	w := newWorld(t)
	w.catchUp() // a projection that never comes
	w.join("a", "ann", "bob")
	w.join("b", "ann")
	w.send("b", "ann")
	w.do(&change.Read{User: "ann", Room: "a", Seq: 0})
	w.do(&change.SetMember{Room: "a", By: "ann", User: "bob", Role: chat.RoleModerator})
	if rooms := w.rooms("bob"); len(rooms) != 0 {
		t.Fatalf("before: %+v", rooms)
	}
	seen := map[string]int{}
	if err := projection.Rebuild(t.Context(), w.store, w.lanes, func(shard string, n int) { seen[shard] = n }); err != nil || seen["shard-0.db"]+seen["shard-1.db"] != 3 {
		t.Fatalf("%v rows, %v", seen, err)
	}
	for user, want := range map[chat.UserID]int{"ann": 2, "bob": 1} {
		rooms := w.rooms(user)
		if len(rooms) != want {
			t.Errorf("%s: %+v", user, rooms)
		}
		for _, r := range rooms {
			m, err := w.store.Room(r.Room).Member(t.Context(), r.Room, user)
			if err != nil || m.Rev != r.Rev || m.Role != r.Role {
				t.Errorf("%s in %s: %+v and %+v %v", user, r.Room, m, r, err)
			}
		}
	}
}
