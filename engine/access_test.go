package engine_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
)

// What is kept of a user outlives the node, and is right at once where it was made.
func TestAccess(t *testing.T) {
	now := time.Unix(1_800_000_000, 5e8)
	var claimed []chat.UserID
	n := newNode(t, func(c *engine.Config) {
		c.Now = func() time.Time { return now }
		c.Claimed = func(user chat.UserID) { claimed = append(claimed, user) }
	})
	ctx := t.Context()
	if a, err := n.Access(ctx, "ann"); err != nil || a != (chat.Access{User: "ann"}) {
		t.Errorf("nothing is kept: %+v, %v", a, err)
	}
	n.Claim("ann")
	n.Claim("ann")
	if a, err := n.Access(ctx, "ann"); err != nil || !a.Claimed || len(claimed) != 1 {
		t.Errorf("claimed: %+v, %v, told %v", a, err, claimed)
	}
	notBefore, err := n.EndTokens(ctx, "ann")
	if err != nil || notBefore != now.Unix()+1 {
		t.Errorf("tokens are good from %d, %v", notBefore, err)
	}
	now = now.Add(-time.Hour) // a clock that was put right takes nothing back
	if again, err := n.EndTokens(ctx, "ann"); err != nil || again != notBefore {
		t.Errorf("and again from %d, %v", again, err)
	}
	other := engine.New(engine.Config{Store: n.store, Lanes: n.lanes, Presence: nobody{}, Publish: func(*chat.Event) {}})
	want := chat.Access{User: "ann", NotBefore: notBefore, Claimed: true}
	for name, e := range map[string]*engine.Engine{"here": n.Engine, "after a restart": other} {
		if a, err := e.Access(ctx, "ann"); err != nil || a != want {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	_, err = n.EndTokens(ctx, "a\x00b")
	wantKind(t, "no user", err, chat.Invalid)
}

// A change of this node says nothing of what the store has of the user besides: a claim,
// as when the back end speaks as the user, leaves ended tokens ended.
func TestAccessBehindChanges(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	n := newNode(t, func(c *engine.Config) { c.Now = func() time.Time { return now } })
	ctx := t.Context()
	notBefore, err := n.EndTokens(ctx, "ann")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*engine.Engine) error{
		"a claim": func(e *engine.Engine) error {
			e.Claim("ann")
			return nil
		},
		"an end of tokens, by a clock that is behind": func(e *engine.Engine) error {
			_, err := e.EndTokens(ctx, "ann")
			return err
		},
	} {
		restarted := engine.New(engine.Config{
			Store: n.store, Lanes: n.lanes, Presence: nobody{}, Publish: func(*chat.Event) {},
			Now: func() time.Time { return now.Add(-time.Hour) },
		})
		if err := change(restarted); err != nil {
			t.Fatal(err)
		}
		if a, err := restarted.Access(ctx, "ann"); err != nil || a.NotBefore != notBefore {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

// While a node does not hear of other nodes' changes, and behind them, it asks the store.
func TestAccessOfOtherNodes(t *testing.T) {
	hears := true
	n := newNode(t, func(c *engine.Config) { c.Hears = func() bool { return hears } })
	ctx := t.Context()
	other := engine.New(engine.Config{Store: n.store, Lanes: n.lanes, Presence: nobody{}, Publish: func(*chat.Event) {}})
	users := []chat.UserID{"ann", "bob", "carl"}
	for _, u := range users {
		if a, err := n.Access(ctx, u); err != nil || a.NotBefore != 0 {
			t.Fatalf("%+v, %v", a, err)
		}
		if _, err := other.EndTokens(ctx, u); err != nil {
			t.Fatal(err)
		}
		if a, err := n.Access(ctx, u); err != nil || a.NotBefore != 0 {
			t.Errorf("nothing was heard, and yet %+v, %v", a, err)
		}
	}
	want := func(what string, user chat.UserID) {
		t.Helper()
		if a, err := n.Access(ctx, user); err != nil || a.NotBefore == 0 {
			t.Errorf("%s: %+v, %v", what, a, err)
		}
	}
	hears = false
	want("while it does not hear", "ann")
	hears = true
	n.ForgetUser("bob")
	want("after a word of another node", "bob")
	n.ForgetUsers()
	want("after everything was forgotten", "carl")
}

// A claim that could not be committed is tried again, and one that could is not.
func TestClaimWhileWritingDoesNotWork(t *testing.T) {
	n := newNode(t, nil)
	n.lanes.Close()
	n.Claim("ann")
	if a, err := n.Access(t.Context(), "ann"); err != nil || a.Claimed {
		t.Errorf("%+v, %v", a, err)
	}
}

// The names of guests cost nothing, so what they do counts by network.
func TestGuestsCountByNetwork(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	n := newNode(t, func(c *engine.Config) {
		c.Now = func() time.Time { return now }
		c.Rates = engine.Rates{
			GuestJoin:   engine.Rate{PerSecond: 1, Burst: 8},
			GuestRoom:   engine.Rate{PerSecond: 1, Burst: 3},
			GuestChange: engine.Rate{PerSecond: 1, Burst: 4},
		}
	})
	ctx := t.Context()
	here, there := netip.MustParsePrefix("198.51.100.7/32"), netip.MustParsePrefix("2001:db8::/64")
	names := 0
	guest := func(from *netip.Prefix) engine.Actor {
		names++
		return engine.Actor{User: chat.UserID(fmt.Sprint("guest", names)), Network: from}
	}
	count := func(do func(i int) error) (done int) {
		for i := range 20 {
			err := do(i)
			switch chat.KindOf(err) {
			case chat.RateLimited:
				if chat.Public(err).RetryAfter == 0 {
					t.Errorf("no word of when: %v", err)
				}
			default:
				if err != nil {
					t.Fatal(err)
				}
				done++
			}
		}
		return done
	}
	makes := func(prefix string, from *netip.Prefix) func(int) error {
		return func(i int) error {
			_, err := n.Join(ctx, guest(from), chat.RoomID(fmt.Sprint(prefix, i)), engine.JoinOptions{})
			return err
		}
	}
	if got := count(makes("a", &here)); got != 3 {
		t.Errorf("%d rooms were made", got)
	}
	if got := count(makes("b", &there)); got != 3 {
		t.Errorf("%d rooms were made elsewhere", got)
	}
	if got := count(makes("c", nil)); got != 20 {
		t.Errorf("%d rooms were made by users with tokens", got)
	}
	now = now.Add(time.Hour)
	if got := count(func(int) error {
		_, err := n.Join(ctx, guest(&here), "a0", engine.JoinOptions{})
		return err
	}); got != 8 {
		t.Errorf("%d joins", got)
	}
	now = now.Add(time.Hour)
	if got := count(func(i int) error {
		a := engine.Actor{User: chat.UserID(fmt.Sprint("member", i)), Network: &here}
		if _, err := n.Join(ctx, engine.Actor{User: a.User}, "a0", engine.JoinOptions{}); err != nil {
			t.Fatal(err)
		}
		_, err := n.Do(ctx, a, &change.Send{Room: "a0", Draft: chat.Draft{Text: "x"}})
		return err
	}); got != 4 {
		t.Errorf("%d messages", got)
	}
}

// A token for all rooms opens them and makes none; one for a room makes that room.
func TestTokenForAllRoomsMakesNone(t *testing.T) {
	n := newNode(t, func(c *engine.Config) { c.UsersMakeRooms = false })
	ctx := t.Context()
	all := engine.Actor{User: "ann", Granted: func(chat.RoomID) bool { return true }}
	one := engine.Actor{User: "bob", Granted: func(room chat.RoomID) bool { return room == "board" }}
	_, err := n.Join(ctx, all, "board", engine.JoinOptions{})
	wantKind(t, "a room that is none", err, chat.NotFound)
	for _, a := range []engine.Actor{one, all} {
		if _, err := n.Join(ctx, a, "board", engine.JoinOptions{}); err != nil {
			t.Errorf("%s: %v", a.User, err)
		}
	}
}

// A user leaves a room that another has put it into, and its rooms say so.
func TestLeavingARoomOneWasPutInto(t *testing.T) {
	n := newNode(t, nil)
	ctx := t.Context()
	mallory, ann := engine.Actor{User: "mallory"}, engine.Actor{User: "ann"}
	if _, err := n.Join(ctx, mallory, "spam", engine.JoinOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Do(ctx, mallory, &change.SetMember{Room: "spam", User: "ann", Role: chat.RoleMember}); err != nil {
		t.Fatal(err)
	}
	if mine, err := n.Rooms(ctx, ann, engine.RoomsOptions{}); err != nil || len(mine.Rooms) != 1 {
		t.Fatalf("%+v, %v", mine, err)
	}
	if _, err := n.Do(ctx, ann, &change.Leave{Room: "spam"}); err != nil {
		t.Fatal(err)
	}
	n.outbox.Close(ctx) // the projection has caught up
	if mine, err := n.Rooms(ctx, ann, engine.RoomsOptions{}); err != nil || len(mine.Rooms) != 0 {
		t.Errorf("%+v, %v", mine, err)
	}
}
