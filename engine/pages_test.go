package engine_test

import (
	"strings"
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/wire"
)

// answerBytes is more than any answer has: a page, the first members and users of a
// join, and one message more where a page would be empty otherwise.
const answerBytes = 400 << 10

// largest is the largest message as JSON: control characters take six bytes each.
func largest(user chat.UserID) *change.Send {
	return &change.Send{Room: "r", User: user, Draft: chat.Draft{
		Text: strings.Repeat("\x01", 4000), Data: []byte(`"` + strings.Repeat("d", 16<<10-2) + `"`),
	}}
}

// A member that has filled a room with the largest messages, names and ids gets no
// answer of more than a page, whatever it asks for; and gets everything page by
// page.
func TestAnswersAreBoundedInBytes(t *testing.T) {
	n := newNode(t, nil)
	ctx := t.Context()
	ann := engine.Actor{User: "ann"}
	if _, err := n.Join(ctx, ann, "r", engine.JoinOptions{}); err != nil {
		t.Fatal(err)
	}
	const messages = 60
	for range messages {
		if _, err := n.Do(ctx, ann, largest("ann")); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 {
		user := chat.UserID(strings.Repeat(`"`, 120) + string(rune('A'+i/26)) + string(rune('a'+i%26)))
		name := strings.Repeat(`"`, 250)
		put := &change.SetMember{Room: "r", User: user, Name: &name, Role: chat.RoleMember}
		if _, err := n.Do(ctx, engine.Actor{Server: true}, put); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(what string, r wire.Reply, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(what, err)
		}
		if size := len(wire.AppendReply(nil, r)); size > answerBytes {
			t.Fatalf("%s: an answer of %d bytes", what, size)
		}
	}

	seen, before, more := 0, chat.Seq(0), true
	for more {
		r, err := n.History(ctx, ann, "r", store.Page{Before: before, Limit: 100}, engine.Around{})
		ask("history", r, err)
		seen, before, more = seen+len(r.Messages), r.Messages[0].Seq, r.More
	}
	if seen != messages {
		t.Errorf("history told %d messages", seen)
	}

	around, err := n.History(ctx, ann, "r", store.Page{Limit: 100}, engine.Around{Seq: messages / 2})
	ask("history around", around, err)
	if !around.More || !around.Newer {
		t.Error("history around told all")
	}

	seen, rev, more := 0, chat.Rev(0), true
	for more {
		r, err := n.Changes(ctx, ann, "r", rev, 500)
		ask("changes", r, err)
		seen, rev, more = seen+len(r.Delta.Messages), r.Delta.Rev, r.Delta.More
	}
	if seen != messages {
		t.Errorf("changes told %d messages", seen)
	}

	seen, rev = 0, 0
	for partial := true; partial; {
		r, err := n.Join(ctx, ann, "r", engine.JoinOptions{After: &rev})
		ask("join with after", r, err)
		if r.Partial != r.More {
			t.Fatal("partial differs from more")
		}
		seen, rev, partial = seen+len(r.Messages), r.Rev, r.Partial
	}
	if seen != messages {
		t.Errorf("joins told %d messages", seen)
	}

	first, err := n.Join(ctx, ann, "r", engine.JoinOptions{Limit: 100})
	ask("join", first, err)
	if !first.More || len(first.Messages) == 0 {
		t.Errorf("join told %d messages, more %v", len(first.Messages), first.More)
	}

	seen, after, more := 0, chat.UserID(""), true
	for more {
		r, err := n.Members(ctx, ann, "r", chat.RoleNone, after, 1000)
		ask("members", r, err)
		seen, after, more = seen+len(r.Members), r.Members[len(r.Members)-1].User, r.More
	}
	if seen != 301 {
		t.Errorf("members told %d", seen)
	}

	mine, err := n.Rooms(ctx, ann, engine.RoomsOptions{})
	ask("rooms", mine, err)
}
