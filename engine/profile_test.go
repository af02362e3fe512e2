package engine_test

import (
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
)

func claims(name string, issued time.Time) engine.Claims {
	return engine.Claims{Name: &name, Issued: issued}
}

func (n *node) member(t *testing.T, room chat.RoomID, user chat.UserID) chat.Member {
	t.Helper()
	m, err := n.store.Room(room).Member(t.Context(), room, user)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The newest token or word of the back end counts, a claim that is missing says
// nothing, and nothing is written when nothing is new.
func TestTokensSayNames(t *testing.T) {
	n := newNode(t, nil)
	ctx, host, now := t.Context(), engine.Actor{Server: true}, time.Now()
	greet := func(c engine.Claims, want string) {
		t.Helper()
		if name, _ := n.Greet(ctx, "ann", c); name != want {
			t.Errorf("she is called %q, want %q", name, want)
		}
	}
	greet(engine.Claims{}, "")
	if _, err := n.User(ctx, engine.Actor{Server: true}, "ann"); chat.KindOf(err) != chat.NotFound {
		t.Errorf("a token that says nothing has made a profile: %v", err)
	}
	greet(claims("Ann", now.Add(-time.Hour)), "Ann")
	shard := n.store.ShardOf(chat.UserID("ann").Slot())
	n.outbox.Close(ctx) // no cursors are written from here on
	at := n.lanes.Position(shard)
	greet(claims("Ann", now.Add(-time.Minute)), "Ann")
	greet(engine.Claims{Issued: now}, "Ann")
	greet(claims("Old", now.Add(-2*time.Hour)), "Ann")
	if n.lanes.Position(shard) != at {
		t.Error("something was written though nothing is new")
	}
	title := "Ann P."
	if _, err := n.Do(ctx, host, &change.SetUser{User: "ann", Name: &title}); err != nil {
		t.Fatal(err)
	}
	greet(claims("Ann", now.Add(-time.Minute)), "Ann P.")
	greet(claims("Ann Q.", time.Now().Add(time.Minute)), "Ann Q.") // issued in the same second, or by a fast clock
	greet(claims("", time.Time{}), "")
	if r, err := n.User(ctx, engine.Actor{Server: true}, "ann"); err != nil || r.User.Name != "" {
		t.Errorf("%+v %v", r, err)
	}
}

// A member gets the name of the profile, whatever a token said when the connection
// began; a guest the name of hello.
func TestMembersAreCalledByTheirProfile(t *testing.T) {
	n := newNode(t, nil)
	ctx, host, name, avatar := t.Context(), engine.Actor{Server: true}, "Ann P.", "/a.png"
	if _, err := n.Do(ctx, host, &change.SetUser{User: "ann", Name: &name, Avatar: &avatar}); err != nil {
		t.Fatal(err)
	}
	join := func(a engine.Actor, room chat.RoomID) {
		t.Helper()
		if _, err := n.Join(ctx, a, room, engine.JoinOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	join(engine.Actor{User: "ann", Name: "Ann"}, "r")
	if m := n.member(t, "r", "ann"); m.Name != name || m.Avatar != avatar {
		t.Errorf("%+v", m)
	}
	join(engine.Actor{User: "gus", Name: "Gus", Guest: true}, "r")
	join(engine.Actor{User: "gus", Guest: true}, "r") // said no name this time
	if m := n.member(t, "r", "gus"); m.Name != "Gus" {
		t.Errorf("%+v", m)
	}
	join(engine.Actor{User: "gus", Name: "Gustav", Guest: true}, "r")
	if m := n.member(t, "r", "gus"); m.Name != "Gustav" {
		t.Errorf("%+v", m)
	}
	none, own := "", "Captain"
	for _, c := range []struct {
		set  change.SetMember
		want string
	}{
		{change.SetMember{User: "ann", Role: chat.RoleModerator}, name},
		{change.SetMember{User: "ann", Role: chat.RoleModerator, Name: &own}, own},
		{change.SetMember{User: "ann", Role: chat.RoleModerator, Name: &none}, name}, // not in this room alone
		{change.SetMember{User: "ann", Role: chat.RoleNone}, name},
		{change.SetMember{User: "ann", Role: chat.RoleMember}, name},
	} {
		c.set.Room = "r"
		if _, err := n.Do(ctx, host, &c.set); err != nil {
			t.Fatal(err)
		}
		if m := n.member(t, "r", "ann"); m.Name != c.want {
			t.Errorf("%+v: %+v", c.set, m)
		}
	}
}

// A node that has not heard yet of a new name gives it to those who join there.
func TestNewNameOfAnotherNode(t *testing.T) {
	n := newNode(t, nil)
	ctx, host := t.Context(), engine.Actor{Server: true}
	other := engine.New(engine.Config{Store: n.store, Lanes: n.lanes, Presence: nobody{}, Publish: n.publishOne, UsersMakeRooms: true})
	ann := engine.Actor{User: "ann"}
	if name, _ := other.Greet(ctx, "ann", engine.Claims{}); name != "" {
		t.Fatal(name)
	}
	name := "Ann"
	if _, err := n.Do(ctx, host, &change.SetUser{User: "ann", Name: &name}); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Join(ctx, ann, "r", engine.JoinOptions{}); err != nil {
		t.Fatal(err)
	}
	if m := n.member(t, "r", "ann"); m.Name != "Ann" {
		t.Errorf("%+v", m)
	}
}
