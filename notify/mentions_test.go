package notify_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/notify"
	"github.com/roomtide/roomtide/push"
	"github.com/roomtide/roomtide/store"
)

// gateway delivers everything.
type gateway chan string

func (g gateway) Send(_ context.Context, _ push.Target, n *push.Notification) push.Outcome {
	g <- n.Title + ": " + n.Text
	return push.Outcome{Action: push.Delivered}
}

func (gateway) Providers() []string { return []string{"log"} }

// What is pending follows the edits of its message: who is mentioned no longer is told of a
// message only if messages are wanted, and who is mentioned now is told so.
func TestEditsOfMentions(t *testing.T) {
	for _, row := range []struct {
		name       string
		level      chat.PushLevel
		members    int // from which on a room is large
		sent, then string
		want       string // "": nothing
	}{
		{"a mention that goes, all wanted", chat.PushAll, 0, "hi @bob", "hi", "Ann: hi"},
		{"a mention that goes, mentions wanted", chat.PushMentions, 0, "hi @bob", "hi", ""},
		{"a mention that goes, large room", chat.PushAll, 1, "hi @bob", "hi", ""},
		{"a mention that comes, all wanted", chat.PushAll, 0, "hi", "hi @bob", "Ann mentioned you: hi @bob"},
		{"a mention that comes, mentions wanted", chat.PushMentions, 0, "hi", "hi @bob", "Ann mentioned you: hi @bob"},
		{"a mention that comes, large room", chat.PushAll, 1, "hi", "hi @bob", "Ann mentioned you: hi @bob"},
		{"a mention that stays", chat.PushMentions, 1, "hi @bob", "ho @bob", "Ann mentioned you: ho @bob"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, row.members)
			w.do(&change.SetPush{User: "bob", Level: &row.level})
			w.tell(&change.Send{Room: "r", User: "ann", Name: "Ann", Draft: chat.Draft{Text: row.sent}})
			w.tell(&change.Edit{Room: "r", Seq: 1, User: "ann", Text: row.then})
			got := w.sent()
			var want []string
			if row.want != "" {
				want = []string{"General: " + row.want}
			}
			if !slices.Equal(got, want) {
				t.Errorf("bob is told %q, want %q", got, want)
			}
		})
	}
}

// world is a room with ann, and bob who is away and has a device.
type world struct {
	t       *testing.T
	store   *store.Store
	lanes   *lane.Lanes
	members int
}

func nobody(_ context.Context, users []chat.UserID) []bool { return make([]bool, len(users)) }

func newWorld(t *testing.T, members int) *world {
	w := &world{t: t, store: teststore.Open(t, t.TempDir(), 1, nil), members: members}
	var err error
	w.lanes, err = lane.Open(t.Context(), lane.Config{Store: w.store, Publish: func(*bus.Batch) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.lanes.Close()
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, user := range []chat.UserID{"ann", "bob"} {
		w.do(&change.Join{Room: "r", User: user, Create: &change.RoomSpec{Open: true, Title: "General"}, Own: true})
		w.do(&change.Project{Member: chat.Member{Room: "r", User: user, Role: chat.RoleMember, Rev: 1}})
	}
	w.do(&change.RegisterDevice{User: "bob", Device: "phone", Provider: "log", Address: "{}", At: 1})
	return w
}

func (w *world) do(c change.Change) {
	w.t.Helper()
	if _, err := w.lanes.Do(w.t.Context(), c); err != nil {
		w.t.Fatalf("%T: %v", c, err)
	}
}

// tell commits a change and makes the jobs that follow from it, twice, as after a crash.
func (w *world) tell(c change.Change) {
	w.t.Helper()
	before := w.lanes.Position(0)
	w.do(c)
	entries, err := w.store.Shards()[0].Outbox(w.t.Context(), 0, before, 1)
	if err != nil || len(entries) != 1 {
		w.t.Fatalf("%d entries, %v", len(entries), err)
	}
	for range 2 {
		jobs := notify.Jobs(notify.JobsConfig{Store: w.store, Lanes: w.lanes, Foreground: nobody, Members: w.members})
		parts, err := jobs.Parts(w.t.Context(), 0, &entries[0])
		if err != nil {
			w.t.Fatal(err)
		}
		for _, p := range parts {
			if err := p.Do(w.t.Context()); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// sent sends the jobs, and returns what was told. It ends when no job waits.
func (w *world) sent() (told []string) {
	w.t.Helper()
	out := make(gateway, 16)
	s := notify.NewSender(notify.SenderConfig{
		Store: w.store, Lanes: w.lanes, Gateway: out, Foreground: nobody, Members: w.members, Secret: []byte("s"),
	})
	s.Start(0)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	defer s.Close(ctx)
	for {
		jobs, err := w.store.Shards()[0].DuePushJobs(ctx, 0, time.Now().UnixMilli(), 10)
		if err != nil {
			w.t.Fatalf("jobs that wait: %v", err)
		}
		if len(jobs) == 0 { // all were sent or dropped; the notes of those that were sent are due when they expire
			break
		}
	}
	for len(out) > 0 {
		told = append(told, <-out)
	}
	return told
}
