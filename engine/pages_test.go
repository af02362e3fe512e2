package engine_test

import (
	"fmt"
	"slices"
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

// Lists of rooms and of users with the largest profiles and newest messages stop
// where a page does, and go on from there: none is left out, and none of a member's
// rooms lacks its newest message.
func TestListsAreBoundedInBytes(t *testing.T) {
	n := newNode(t, nil)
	ctx, host, ann := t.Context(), engine.Actor{Server: true}, engine.Actor{User: "ann"}
	quotes := func(n int) *string { s := strings.Repeat(`"`, n); return &s }
	data := `"` + strings.Repeat("d", 4096-2) + `"`
	const count = 150 // rooms and users
	var of []chat.UserID
	for i := range count {
		room := chat.RoomID(fmt.Sprintf("r%03d", i))
		user := chat.UserID(fmt.Sprintf("u%03d", i))
		of = append(of, user, user+" of whom nothing is known")
		for _, c := range []change.Change{
			&change.SetRoom{Room: room, Title: quotes(250), Topic: quotes(1024), Data: &data},
			&change.SetMember{Room: room, User: "ann", Role: chat.RoleMember},
			&change.Send{Room: room, Draft: largest("").Draft, Name: "host"},
			&change.SetUser{User: user, Name: quotes(250), Data: &data},
		} {
			a := host
			if _, sends := c.(*change.Send); sends {
				a.User = "ann"
			}
			if _, err := n.Do(ctx, a, c); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(what string, r wire.Reply, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(what, err)
		}
		if size := len(wire.AppendReply(nil, r)); size > answerBytes {
			t.Fatalf("%s: an answer of %d bytes", what, size)
		}
	}
	for _, order := range []string{"id", "activity"} {
		seen, pages := map[chat.RoomID]bool{}, 0
		for o := (engine.RoomsOptions{Order: order}); ; pages++ {
			r, err := n.Rooms(ctx, ann, o)
			check("rooms by "+order, r, err)
			for _, m := range r.Rooms {
				if seen[m.Room.ID] = true; m.Last == nil {
					t.Errorf("%s lacks its newest message", m.Room.ID)
				}
			}
			if o.After = r.Next; !r.More {
				break
			}
		}
		if len(seen) != count || pages < 10 {
			t.Errorf("%d rooms by %s on %d pages and one", len(seen), order, pages)
		}
		seen, pages = map[chat.RoomID]bool{}, 0
		for o := (engine.RoomsOptions{Order: order}); ; pages++ {
			r, err := n.ListRooms(ctx, host, o)
			check("all rooms by "+order, r, err)
			for _, m := range r.Rooms {
				seen[m.ID] = true
			}
			if o.After = r.Next; !r.More {
				break
			}
		}
		if len(seen) != count || pages < 2 {
			t.Errorf("%d of all rooms by %s on %d pages and one", len(seen), order, pages)
		}
	}
	seen := map[chat.UserID]bool{}
	for len(of) > 0 {
		r, err := n.Users(ctx, ann, of[:min(len(of), 100)])
		check("users", r, err)
		if last := r.Users[len(r.Users)-1].ID; r.More {
			of = of[slices.Index(of, last)+1:]
		} else {
			of = of[min(len(of), 100):]
		}
		for _, u := range r.Users {
			seen[u.ID] = true
		}
	}
	if len(seen) != count {
		t.Errorf("%d users", len(seen))
	}
}
