package e2e

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// wantEvent reads events until fits reports true.
func wantEvent(t *testing.T, c *client.Client, what string, fits func(client.Event) bool) client.Event {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case ev, ok := <-c.Events():
			if !ok {
				t.Fatalf("%s: events ended: %v", what, c.Err())
			}
			if fits(ev) {
				return ev
			}
		case <-timeout:
			t.Fatalf("%s: no such event came", what)
		}
	}
}

// Every method of the Go client against a node.
func TestClient(t *testing.T) {
	n := program.Start(t, t.TempDir(), testprocess.FreeAddr(t))
	n.Ready()
	ctx := testContext(t)
	user1, user2 := user(t, n, "user1"), user(t, n, "user2")
	if user1.User() != "user1" || user1.Limits() != demoLimits() {
		t.Errorf("hello returned %s and %+v", user1.User(), user1.Limits())
	}
	join(t, user1, "room1")
	join(t, user2, "room1")
	var seqs []chat.Seq
	for _, text := range []string{"one", "two", "three"} {
		s, err := user1.Send(ctx, "room1", chat.Draft{Text: text, Data: []byte(`{"n":1}`)})
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, s.Seq)
	}
	if !slices.Equal(seqs, []chat.Seq{1, 2, 3}) {
		t.Fatalf("numbered %v", seqs)
	}

	before, err := user2.Changes(ctx, "room1", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := user1.Edit(ctx, "room1", 1, "one, edited"); err != nil {
		t.Error(err)
	}
	ev := wantEvent(t, user2, "the edit", func(ev client.Event) bool { return ev.Kind == chat.EventEdited })
	if ev.Message.Seq != 1 || ev.Message.Text != "one, edited" {
		t.Errorf("the edit: %+v", ev.Message)
	}
	if _, err := user2.React(ctx, "room1", 2, "👍", true); err != nil {
		t.Error(err)
	}
	ev = wantEvent(t, user1, "the reaction", func(ev client.Event) bool { return ev.Kind == chat.EventReacted })
	if ev.Seq != 2 || ev.User != "user2" || ev.Emoji != "👍" || !ev.On {
		t.Errorf("the reaction: %+v", ev.Event)
	}
	if _, err := user2.Delete(ctx, "room1", 3); chat.KindOf(err) != chat.Forbidden {
		t.Errorf("deleting what another wrote: %v", err)
	}
	if _, err := user1.Delete(ctx, "room1", 3); err != nil {
		t.Error(err)
	}
	after, err := user2.Changes(ctx, "room1", before.Rev)
	if err != nil || len(after.Messages) != 3 || after.Rev != before.Rev+3 || after.More {
		t.Errorf("changes: %+v, %v", after, err)
	}
	ms, more, err := user2.History(ctx, "room1", client.Page{Limit: 2})
	if err != nil || len(ms) != 2 || !more || ms[0].Seq != 2 || !ms[1].Deleted || ms[1].Text != "" {
		t.Errorf("history: %+v, %v, %v", ms, more, err)
	}
	if len(ms) > 0 && (len(ms[0].Reactions) != 1 || !json.Valid(ms[0].Data)) {
		t.Errorf("the second message: %+v", ms[0])
	}
	if ms, _, err = user2.History(ctx, "room1", client.Page{After: 1, Limit: 1}); err != nil || len(ms) != 1 || ms[0].Seq != 2 {
		t.Errorf("history after: %+v, %v", ms, err)
	}

	user1.Typing("room1", true)
	wantEvent(t, user2, "typing", func(ev client.Event) bool { return ev.Kind == chat.EventTyping && ev.User == "user1" && ev.On })
	if unread, err := user2.Read(ctx, "room1", 1); err != nil || unread.Count != 1 {
		t.Errorf("unread %d, %v", unread.Count, err)
	}
	members, count, _, err := user1.Members(ctx, "room1", "")
	if err != nil || count != 2 || len(members) != 2 || members[1].User != "user2" {
		t.Errorf("members: %+v, %d, %v", members, count, err)
	}
	if ms, more, err := user1.MembersWith(ctx, "room1", chat.RoleModerator, ""); err != nil || len(ms) != 0 || more {
		t.Errorf("moderators: %+v, %v", ms, err)
	}
	if us, err := user1.Users(ctx, "user1", "user2"); err != nil || len(us) != 0 { // guests have no profile
		t.Errorf("users: %+v, %v", us, err)
	}
	online, count, err := user1.Online(ctx, "room1")
	if err != nil || count != 2 || len(online) != 2 {
		t.Errorf("online: %v, %d, %v", online, count, err)
	}
	mine, err := user2.Rooms(ctx)
	if err != nil || len(mine) != 1 || mine[0].Room.ID != "room1" || mine[0].Unread.Count != 1 || mine[0].Read != 1 {
		t.Errorf("rooms: %+v, %v", mine, err)
	}
	if err := user2.Leave(ctx, "room1"); err != nil {
		t.Error(err)
	}
	wantEvent(t, user2, "leaving", func(ev client.Event) bool { return ev.News == client.Left && ev.Err == nil })
	wantEvent(t, user1, "user2 leaving", func(ev client.Event) bool {
		return ev.Kind == chat.EventMember && ev.Member.User == "user2" && ev.Member.Role == chat.RoleNone
	})
	if _, _, err := user2.History(ctx, "room1", client.Page{}); chat.KindOf(err) != chat.NotMember {
		t.Errorf("reading after leaving: %v", err)
	}
}

func demoLimits() chat.Limits {
	l := chat.DefaultLimits()
	l.RoomsPerConn = chat.DemoRoomsPerConn
	return l
}

// "roomtide bench" runs without other programs and finds no anomaly.
func TestBench(t *testing.T) {
	out, errs, err := program.Run(testContext(t), "bench", "load", "--rooms", "3", "--members", "4", "--senders", "5", "--window", "4", "--keys", "--duration", "300ms", "--json")
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, errs)
	}
	var r struct {
		Sent, Acked, Delivered int64
		Anomalies              map[string]any
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if r.Sent == 0 || r.Acked != r.Sent || r.Delivered != 4*r.Sent || r.Anomalies["missing"] != 0.0 {
		t.Errorf("%s", out)
	}
}
