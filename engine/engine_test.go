package engine_test

import (
	"cmp"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/wire"
)

type wireRoom = wire.MyRoom

func compare(a, b chat.RoomID) int { return cmp.Compare(a, b) }

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func wantKind(t testing.TB, what string, err error, want chat.Kind) {
	t.Helper()
	if err == nil || chat.KindOf(err) != want {
		t.Errorf("%s: %v, want %s", what, err, want.Code())
	}
}

func TestWhatIsRefused(t *testing.T) {
	n := newNode(t, nil)
	ctx := t.Context()
	ann, eve := engine.Actor{User: "ann"}, engine.Actor{User: "eve"}
	if _, err := n.Join(ctx, ann, "r", engine.JoinOptions{}); err != nil {
		t.Fatal(err)
	}
	post := func(a engine.Actor, room chat.RoomID, d chat.Draft) error {
		_, err := n.Do(ctx, a, &change.Send{Room: room, Draft: d})
		return err
	}
	long := strings.Repeat("x", 4001)
	wantKind(t, "empty room", post(ann, "", chat.Draft{Text: "x"}), chat.Invalid)
	wantKind(t, "long room", post(ann, chat.RoomID(strings.Repeat("r", 129)), chat.Draft{Text: "x"}), chat.TooLarge)
	wantKind(t, "control character", post(ann, "r\x00", chat.Draft{Text: "x"}), chat.Invalid)
	wantKind(t, "no such room", post(ann, "nowhere", chat.Draft{Text: "x"}), chat.NotMember)
	wantKind(t, "not a member", post(eve, "r", chat.Draft{Text: "x"}), chat.NotMember)
	wantKind(t, "empty message", post(ann, "r", chat.Draft{}), chat.Invalid)
	wantKind(t, "long message", post(ann, "r", chat.Draft{Text: long}), chat.TooLarge)
	wantKind(t, "wrong UTF-8", post(ann, "r", chat.Draft{Text: "a\xff"}), chat.Invalid)
	wantKind(t, "long key", post(ann, "r", chat.Draft{Text: "x", Key: long}), chat.TooLarge)
	wantKind(t, "nobody", post(engine.Actor{}, "r", chat.Draft{Text: "x"}), chat.Invalid)

	_, err := n.History(ctx, eve, "r", store.Page{}, engine.Around{})
	wantKind(t, "a stranger's history", err, chat.NotMember)
	_, err = n.Changes(ctx, eve, "r", 0, 0)
	wantKind(t, "a stranger's changes", err, chat.NotMember)
	_, err = n.Members(ctx, eve, "r", chat.RoleNone, "", 0)
	wantKind(t, "a stranger's members", err, chat.NotMember)
	_, err = n.Online(ctx, eve, "r", 0)
	wantKind(t, "a stranger's online", err, chat.NotMember)
	_, err = n.Read(ctx, eve, "r", 1)
	wantKind(t, "a stranger's mark", err, chat.NotMember)
	wantKind(t, "a stranger's typing", n.Typing(ctx, eve, "r", true), chat.NotMember)
	_, err = n.GetRoom(ctx, eve, "r")
	wantKind(t, "a stranger's look at the room", err, chat.NotMember)
	_, err = n.History(ctx, ann, "r", store.Page{Before: 1, After: 1}, engine.Around{})
	wantKind(t, "before and after", err, chat.Invalid)
	_, err = n.Do(ctx, ann, &change.React{Room: "r", Seq: 1, On: true})
	wantKind(t, "no emoji", err, chat.Invalid)
	_, err = n.Do(ctx, ann, &change.Edit{Room: "r", Text: "x"})
	wantKind(t, "no seq", err, chat.Invalid)
	name := "Bob"
	_, err = n.Do(ctx, ann, &change.SetMember{Room: "r", User: "bob", Name: &name, Role: chat.RoleMember})
	wantKind(t, "a name that a member gives", err, chat.Forbidden)
	_, err = n.Do(ctx, engine.Actor{Server: true}, &change.SetMember{Room: "r", User: "bob", Name: &long, Role: chat.RoleMember})
	wantKind(t, "long name", err, chat.TooLarge)
}

func TestOnlyTheHostMakesRooms(t *testing.T) {
	n := newNode(t, func(c *engine.Config) { c.UsersMakeRooms = false })
	ctx := t.Context()
	ann := engine.Actor{User: "ann"}
	_, err := n.Join(ctx, ann, "shop", engine.JoinOptions{})
	wantKind(t, "join nothing", err, chat.Forbidden)
	_, err = n.Do(ctx, ann, &change.SetRoom{Room: "shop"})
	wantKind(t, "make a room", err, chat.NotMember)
	title := "Shop"
	if r, err := n.Do(ctx, engine.Actor{Server: true}, &change.SetRoom{Room: "shop", Title: &title}); err != nil || !r.Created {
		t.Fatal(r, err)
	}
	_, err = n.Join(ctx, ann, "shop", engine.JoinOptions{})
	wantKind(t, "join by nobody's leave", err, chat.Forbidden)
	granted := engine.Actor{User: "ann", Granted: func(r chat.RoomID) bool { return r == "shop" }}
	if r, err := n.Join(ctx, granted, "shop", engine.JoinOptions{}); err != nil || r.Role != chat.RoleMember || r.Room.Title != "Shop" {
		t.Fatalf("%+v %v", r, err)
	}
}

func TestRates(t *testing.T) {
	now := time.Unix(1e9, 0)
	n := newNode(t, func(c *engine.Config) {
		c.Now = func() time.Time { return now }
		c.Rates = engine.Rates{User: engine.Rate{PerSecond: 2, Burst: 3}, Room: engine.Rate{PerSecond: 2, Burst: 5}}
	})
	ctx := t.Context()
	post := func(user chat.UserID) error {
		_, err := n.Do(ctx, engine.Actor{User: user}, &change.Send{Room: "r", Draft: chat.Draft{Text: "x"}})
		return err
	}
	for _, u := range []chat.UserID{"ann", "bob"} {
		if _, err := n.Join(ctx, engine.Actor{User: u}, "r", engine.JoinOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if err := post("ann"); err != nil {
			t.Fatal(err)
		}
	}
	err := post("ann")
	wantKind(t, "the fourth at once", err, chat.RateLimited)
	var e *chat.Error
	if !errors.As(err, &e) || e.RetryAfter != 500 {
		t.Errorf("told to wait %d ms, want 500", e.RetryAfter)
	}
	for range 2 {
		if err := post("bob"); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, "the room's sixth", post("bob"), chat.RateLimited)
	now = now.Add(500 * time.Millisecond)
	if err := post("ann"); err != nil {
		t.Errorf("after waiting as told: %v", err)
	}
	if _, err := n.Do(ctx, engine.Actor{User: "shop", Server: true}, &change.Send{Room: "r", Draft: chat.Draft{Text: "x"}}); err != nil {
		t.Errorf("the back end is limited: %v", err)
	}
}

func TestUnread(t *testing.T) {
	n := newNode(t, nil)
	ctx := t.Context()
	ann, bob := engine.Actor{User: "ann"}, engine.Actor{User: "bob"}
	join := func(a engine.Actor) {
		t.Helper()
		if _, err := n.Join(ctx, a, "r", engine.JoinOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	unread := func(a engine.Actor) int64 {
		t.Helper()
		rs, err := n.Rooms(ctx, a, engine.RoomsOptions{})
		if err != nil || len(rs.Rooms) != 1 {
			t.Fatalf("%+v %v", rs, err)
		}
		return rs.Rooms[0].Unread.Count
	}
	join(ann)
	for range 3 {
		if _, err := n.Do(ctx, ann, &change.Send{Room: "r", Draft: chat.Draft{Text: "x"}}); err != nil {
			t.Fatal(err)
		}
	}
	join(bob)
	if got := unread(bob); got != 0 {
		t.Errorf("%d unread right after joining, want 0", got)
	}
	for range 2 {
		if _, err := n.Do(ctx, ann, &change.Send{Room: "r", Draft: chat.Draft{Text: "x"}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := unread(bob); got != 2 {
		t.Errorf("%d unread, want 2", got)
	}
	if r, err := n.Join(ctx, bob, "r", engine.JoinOptions{}); err != nil || r.Unread.Count != 2 {
		t.Errorf("joining again: %+v %v", r, err)
	}
	if h, err := n.History(ctx, bob, "r", store.Page{After: store.FromStart, Limit: 2}, engine.Around{}); err != nil || len(h.Messages) != 2 || h.Messages[0].Seq != 1 || !h.More {
		t.Errorf("from the start: %+v %v", h, err)
	}
	for _, step := range []struct{ seq, mark, unread int64 }{{4, 4, 1}, {1, 4, 1}, {99, 5, 0}} {
		r, err := n.Read(ctx, bob, "r", chat.Seq(step.seq))
		if err != nil || r.Unread.Count != step.unread || int64(r.Seq) != step.mark {
			t.Errorf("read %d: %+v %v", step.seq, r, err)
		}
	}
}

// A rev from beyond the room is of a history that a restored backup does not have.
func TestResumeFromBeyond(t *testing.T) {
	n := newNode(t, nil)
	ctx := t.Context()
	ann := engine.Actor{User: "ann"}
	if _, err := n.Join(ctx, ann, "r", engine.JoinOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Do(ctx, ann, &change.Send{Room: "r", Draft: chat.Draft{Text: "x"}}); err != nil {
		t.Fatal(err)
	}
	after := chat.Rev(99)
	r, err := n.Join(ctx, ann, "r", engine.JoinOptions{After: &after})
	if err != nil || !r.Reset || r.Rev != 2 || len(r.Messages) != 1 {
		t.Fatalf("%+v %v", r, err)
	}
}

// What is not the client's to say is overwritten, whatever the caller has filled in.
func TestStamps(t *testing.T) {
	n := newNode(t, nil)
	ctx, ann := t.Context(), engine.Actor{User: "ann"}
	for _, u := range []chat.UserID{"ann", "eve"} {
		if _, err := n.Join(ctx, engine.Actor{User: u}, "r", engine.JoinOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	title := "x"
	for _, c := range []change.Change{
		&change.Send{Room: "r", User: "eve", Server: true, Draft: chat.Draft{Text: "x"}},
		&change.Edit{Room: "r", Seq: 1, User: "eve", Server: true, Text: "y"},
		&change.React{Room: "r", Seq: 1, User: "eve", Server: true, Emoji: "👍", On: true},
		&change.Delete{Room: "r", Seq: 1, User: "eve", Server: true},
		&change.SetMember{Room: "r", By: "eve", Server: true, User: "eve", Role: chat.RoleModerator},
		&change.SetRoom{Room: "r", By: "eve", Server: true, Create: &change.RoomSpec{ReadOnly: true}, Title: &title},
		&change.Leave{Room: "r", User: "eve"},
	} {
		if _, err := n.Do(ctx, ann, c); err != nil {
			t.Fatalf("%s: %v", c.Kind(), err)
		}
		v := reflect.ValueOf(c).Elem()
		by := v.FieldByName("By")
		if !by.IsValid() {
			by = v.FieldByName("User")
		}
		if by.Interface() != chat.UserID("ann") {
			t.Errorf("%s was made by %v", c.Kind(), by)
		}
		if s := v.FieldByName("Server"); s.IsValid() && s.Bool() {
			t.Errorf("%s was made by the host", c.Kind())
		}
	}
	host := newNode(t, func(c *engine.Config) { c.UsersMakeRooms = false })
	_, err := host.Do(ctx, ann, &change.SetRoom{Room: "new", Server: true, Create: &change.RoomSpec{}})
	wantKind(t, "a room with a forged permission", err, chat.NotMember)
}

// Changes that are not a user's are refused, and Submit refuses at once.
func TestUsersDoNotMakeTheseChanges(t *testing.T) {
	n := newNode(t, nil)
	users := []change.Kind{
		change.KindSend, change.KindEdit, change.KindDelete, change.KindReact, change.KindLeave, change.KindSetMember, change.KindSetRoom,
		change.KindDeleteRoom,
	}
	for k := change.Kind(1); k < change.Kinds; k++ {
		var refused error
		n.Submit(engine.Actor{User: "ann"}, change.New(k), func(_ change.Reply, err error) { refused = err })
		want := chat.Forbidden
		if slices.Contains(users, k) {
			want = chat.Invalid // as it is empty
		}
		wantKind(t, k.String(), refused, want)
	}
}
