package lane_test

import (
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// The name of a message is the one it was sent with, else that of the member, else
// that of the profile.
func TestMessagesHaveNames(t *testing.T) {
	w := newWorld(t)
	w.must(&change.Join{Room: "r", User: "ann", Name: "Ann", Create: &change.RoomSpec{Open: true}})
	w.must(&change.Join{Room: "r", User: "ben"})
	for _, c := range []struct {
		send change.Send
		want string
	}{
		{change.Send{User: "ann"}, "Ann"},
		{change.Send{User: "ann", Server: true, Name: "Order 4711", Known: "Ann P."}, "Order 4711"},
		{change.Send{User: "ann", Server: true, Known: "Ann P."}, "Ann"},
		{change.Send{User: "ben"}, ""},
		{change.Send{User: "shop", Server: true, Known: "The Shop"}, "The Shop"},
		{change.Send{User: "shop", Server: true}, ""},
	} {
		c.send.Room, c.send.Draft.Text = "r", "x"
		seq := w.must(&c.send).Seq
		evs := w.published("r")
		if m := evs[len(evs)-1].Message; m.Seq != seq || m.Name != c.want {
			t.Errorf("%+v: the message has the name %q, want %q", c.send, m.Name, c.want)
		}
	}
	w.must(&change.Rename{Room: "r", User: "ann", Name: "Anna", Avatar: "/a"})
	w.must(&change.Edit{Room: "r", Seq: 1, User: "ann", Text: "y"})
	evs := w.published("r")
	if m := evs[len(evs)-2].Member; m.Name != "Anna" || m.Avatar != "/a" || m.Role != chat.RoleMember {
		t.Errorf("the member: %+v", m)
	}
	if m := evs[len(evs)-1].Message; m.Name != "Ann" {
		t.Errorf("edited, it has the name %q", m.Name)
	}
}

// The new name of a member of a large room is not an event with every name, and has
// a rev all the same.
func TestRenamedInALargeRoom(t *testing.T) {
	w := newWorld(t)
	w.crowd("r", 208)
	before := len(w.published("r"))
	w.must(&change.Rename{Room: "r", User: "user7", Name: "U"})
	evs := w.published("r")[before:]
	if len(evs) != 1 || evs[0].Kind != chat.EventMembers || evs[0].After() != evs[0].Rev-1 || evs[0].Count != 208 {
		t.Fatalf("%+v", evs)
	}
	d, err := w.store.Room("r").Delta(t.Context(), "r", evs[0].Rev-1, 10, 0)
	if err != nil || len(d.Members) != 1 || d.Members[0].Name != "U" {
		t.Errorf("%+v %v", d.Members, err)
	}
}

// What a token says does not count if something newer was said of its user.
func TestNewestWordOfAUserCounts(t *testing.T) {
	w := newWorld(t)
	p := func(s string) *string { return &s }
	for i, c := range []struct {
		set     change.SetUser
		name    string
		avatar  string
		named   int64
		changed bool
	}{
		{change.SetUser{Name: p("A"), At: 1000, ByToken: true}, "A", "", 1000, true},
		{change.SetUser{Name: p("B"), At: 999, ByToken: true}, "A", "", 1000, false},
		{change.SetUser{Name: p("A"), At: 5000, ByToken: true}, "A", "", 1000, false}, // nothing to write
		{change.SetUser{Name: p("B"), Avatar: p("/b"), At: 3000, ByToken: true}, "B", "/b", 3000, true},
		{change.SetUser{Name: p("C"), At: 2000}, "C", "/b", 3000, true}, // the back end is always right
		{change.SetUser{Data: p("1"), At: 9000}, "C", "/b", 3000, true},
		{change.SetUser{Name: p(""), At: 4000, ByToken: true}, "", "/b", 4000, true},
		{change.SetUser{At: 9000, ByToken: true}, "", "/b", 4000, false},
	} {
		c.set.User = "ann"
		r := w.must(&c.set)
		if r.User.Name != c.name || r.User.Avatar != c.avatar || r.User.Named != c.named || r.Changed != c.changed {
			t.Errorf("step %d: %+v, want %+v", i, r, c)
		}
	}
	entries, err := w.store.User("ann").Outbox(t.Context(), 0, 0, 100)
	if err != nil || len(entries) != 4 { // those that changed a name or an avatar
		t.Fatalf("%+v %v", entries, err)
	}
	for _, e := range entries {
		if len(e.Users) != 1 || e.Users[0] != "ann" || len(e.Rooms) != 0 {
			t.Errorf("%+v", e)
		}
	}
}

// Bans and mutes end by themselves, with nothing that runs at that time.
func TestRolesThatEnd(t *testing.T) {
	w := &world{t: t, dir: t.TempDir()}
	now := time.UnixMilli(1_700_000_000_000)
	w.now = func() time.Time { return now }
	w.open()
	t.Cleanup(w.close)
	w.join("r", "owner", "ann", "ben")
	end := now.Add(time.Hour).UnixMilli()
	w.must(&change.SetMember{Room: "r", By: "owner", User: "ann", Role: chat.RoleBanned, Until: end})
	w.must(&change.SetMember{Room: "r", By: "owner", User: "ben", Role: chat.RoleMuted, Until: end})
	refused := func(op change.Change) {
		t.Helper()
		_, err := w.do(op)
		wantKind(t, err, chat.Forbidden)
	}
	w.do(&change.Nop{})
	refused(&change.Join{Room: "r", User: "ann", Granted: true})
	refused(send("r", "ben", "", "x"))
	w.must(send("r", "owner", "", "x"))
	refused(&change.React{Room: "r", Seq: 1, User: "ben", Emoji: "+", On: true})

	now = now.Add(time.Hour)
	w.lanes.Flush(t.Context())
	if r := w.must(send("r", "ben", "", "x")); r.Seq != 2 {
		t.Errorf("%+v", r)
	}
	w.must(&change.React{Room: "r", Seq: 1, User: "ben", Emoji: "+", On: true})
	if r := w.must(&change.Join{Room: "r", User: "ann"}); r.Member.Role != chat.RoleMember || r.Member.Until != 0 || r.Room.Members != 3 {
		t.Errorf("%+v", r)
	}
	// A ban that was handed on for so long that it is over puts the member out.
	if r := w.must(&change.SetMember{Room: "r", By: "owner", User: "ann", Role: chat.RoleBanned, Until: end}); r.Member.Role != chat.RoleNone {
		t.Errorf("%+v", r)
	}
}

// Leaving and joining again does not lift a mute, until it ends or a moderator puts the user out or in.
func TestMutesStay(t *testing.T) {
	const start, hour = 1_700_000_000_000, 3600_000
	mute := func(until int64) *change.SetMember {
		return &change.SetMember{Room: "r", By: "owner", User: "ann", Role: chat.RoleMuted, Until: until}
	}
	leave, putOut := &change.Leave{Room: "r", User: "ann"}, &change.SetMember{Room: "r", By: "owner", User: "ann"}
	for what, c := range map[string]struct {
		before []change.Change
		later  int64 // when the user joins
		role   chat.Role
		until  int64
	}{
		"without an end":    {[]change.Change{mute(0), leave}, 0, chat.RoleMuted, 0},
		"for a time":        {[]change.Change{mute(start + hour), leave}, 0, chat.RoleMuted, start + hour},
		"over meanwhile":    {[]change.Change{mute(start + hour), leave}, hour, chat.RoleMember, 0},
		"put out":           {[]change.Change{mute(0), putOut}, 0, chat.RoleMember, 0},
		"put out, had left": {[]change.Change{mute(0), leave, putOut}, 0, chat.RoleMember, 0},
		"lifted and left": {[]change.Change{mute(start + hour), &change.SetMember{Room: "r", By: "owner", User: "ann", Role: chat.RoleMember}, leave},
			0, chat.RoleMember, 0},
	} {
		t.Run(what, func(t *testing.T) {
			w, now := &world{t: t, dir: t.TempDir()}, time.UnixMilli(start)
			w.now = func() time.Time { return now }
			w.open()
			t.Cleanup(w.close)
			w.join("r", "owner", "ann")
			for _, op := range c.before {
				w.must(op)
			}
			w.close()
			now = time.UnixMilli(start + c.later)
			w.open()
			r := w.must(&change.Join{Room: "r", User: "ann"})
			m, err := w.store.Room("r").Member(t.Context(), "r", "ann")
			if err != nil || r.Member.Role != c.role || m.Role != c.role || m.Until != c.until || r.Room.Members != 2 {
				t.Errorf("%+v, stored %+v, %v", r, m, err)
			}
			if _, err := w.do(send("r", "ann", "", "x")); (chat.KindOf(err) == chat.Forbidden) != (c.role == chat.RoleMuted) {
				t.Errorf("sending: %v", err)
			}
		})
	}
}

// A member with much data is read again instead of kept, and nothing of it is lost.
func TestDataIsNotKeptInMemory(t *testing.T) {
	w := newWorld(t)
	w.join("r", "owner", "ann")
	data := `"` + strings.Repeat("x", 4000) + `"`
	w.must(&change.SetMember{Room: "r", By: "owner", User: "ann", Data: &data, Role: chat.RoleMember})
	w.must(send("r", "ann", "", "x"))
	w.must(&change.Rename{Room: "r", User: "ann", Name: "Ann"})
	w.must(&change.SetMember{Room: "r", By: "owner", User: "ann", Role: chat.RoleModerator})
	m, err := w.store.Room("r").Member(t.Context(), "r", "ann")
	if err != nil || m.Data != data || m.Name != "Ann" || m.Role != chat.RoleModerator {
		t.Errorf("%.200v %v", m, err)
	}
}
