package engine_test

import (
	"errors"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/store"
)

// Whatever a user asks is paid from one budget, by the bytes of the answers; when it
// is spent all questions are refused until it has come back, for this user alone, and
// messages go on.
func TestQuestionsHaveABudget(t *testing.T) {
	now := time.Unix(1e9, 0)
	n := newNode(t, func(c *engine.Config) {
		c.Now = func() time.Time { return now }
		c.Rates = engine.Rates{Read: engine.Rate{PerSecond: 100 << 10, Burst: 400 << 10}}
	})
	ctx := t.Context()
	ann, bob := engine.Actor{User: "ann"}, engine.Actor{User: "bob"}
	for _, a := range []engine.Actor{ann, bob} {
		if _, err := n.Join(ctx, a, "r", engine.JoinOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for range 12 {
		if _, err := n.Do(ctx, ann, largest("ann")); err != nil {
			t.Fatal(err)
		}
	}
	history := func(a engine.Actor) error {
		_, err := n.History(ctx, a, "r", store.Page{Limit: 100}, engine.Around{})
		return err
	}
	asked := 0
	for ; history(ann) == nil; asked++ {
		if asked > 9 {
			t.Fatal("there is no end to it")
		}
	}
	if asked != 2 {
		t.Errorf("%d pages from a budget of less than two", asked)
	}
	rev := chat.Rev(1)
	for what, ask := range map[string]func() error{
		"history": func() error { return history(ann) },
		"changes": func() error { _, err := n.Changes(ctx, ann, "r", 0, 0); return err },
		"members": func() error { _, err := n.Members(ctx, ann, "r", chat.RoleNone, "", 0); return err },
		"online":  func() error { _, err := n.Online(ctx, ann, "r", 0); return err },
		"rooms":   func() error { _, err := n.Rooms(ctx, ann, engine.RoomsOptions{}); return err },
		"unread":  func() error { _, err := n.Unread(ctx, ann); return err },
		"users":   func() error { _, err := n.Users(ctx, ann, []chat.UserID{"bob"}); return err },
		"room":    func() error { _, err := n.GetRoom(ctx, ann, "r"); return err },
		"ping":    func() error { _, err := n.Ping(ctx, ann); return err },
		"join":    func() error { _, err := n.Join(ctx, ann, "r", engine.JoinOptions{After: &rev}); return err },
	} {
		wantKind(t, what, ask(), chat.RateLimited)
	}
	if err := history(bob); err != nil {
		t.Errorf("another user: %v", err)
	}
	if err := history(engine.Actor{User: "ann", Server: true}); err != nil {
		t.Errorf("the back end: %v", err)
	}
	if _, err := n.Do(ctx, ann, largest("ann")); err != nil {
		t.Errorf("a message: %v", err)
	}
	var e *chat.Error
	if !errors.As(history(ann), &e) || e.RetryAfter == 0 {
		t.Fatal("no word of when to ask again")
	}
	now = now.Add(time.Duration(e.RetryAfter) * time.Millisecond)
	if err := history(ann); err != nil {
		t.Errorf("after waiting as told: %v", err)
	}
}

// Commands that are refused are paid for too; those refused by a rate are not, or
// a client that does not wait would never be heard again.
func TestRefusalsArePaidFor(t *testing.T) {
	now := time.Unix(1e9, 0)
	n := newNode(t, func(c *engine.Config) {
		c.Now = func() time.Time { return now }
		c.Rates = engine.Rates{Read: engine.Rate{PerSecond: 1 << 10, Burst: 10 << 10}}
	})
	ann := engine.Actor{User: "ann"}
	for range 10 {
		n.Refused(ann, chat.NotMember)
	}
	_, err := n.Ping(t.Context(), ann)
	wantKind(t, "a question after many refusals", err, chat.RateLimited)
	for range 1000 {
		n.Refused(ann, chat.RateLimited)
	}
	now = now.Add(2 * time.Second)
	if _, err := n.Ping(t.Context(), ann); err != nil {
		t.Errorf("2 s later: %v", err)
	}
}
