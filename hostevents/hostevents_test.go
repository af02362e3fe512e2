package hostevents_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/hostevents"
	"github.com/roomtide/roomtide/internal/testlanes"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is lanes over real databases.
type world struct {
	t     *testing.T
	store *store.Store
	lanes *lane.Lanes
}

func newWorld(t *testing.T) *world {
	w := &world{t: t}
	w.store, w.lanes = testlanes.Open(t, t.TempDir(), 2)
	t.Cleanup(func() { testlanes.Close(t, w.store, w.lanes) })
	return w
}

func (w *world) do(cs ...change.Change) {
	w.t.Helper()
	for _, c := range cs {
		if _, err := w.lanes.Do(w.t.Context(), c); err != nil {
			w.t.Fatalf("%T: %v", c, err)
		}
	}
}

// refs are the events of all entries of a room.
func (w *world) refs(room chat.RoomID, want func(hostevents.Kind, chat.RoomID) bool) (refs []hostevents.Ref) {
	w.t.Helper()
	entries, err := w.store.Room(room).Outbox(w.t.Context(), 0, 0, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range entries {
		refs = append(refs, hostevents.Of(&entries[i], want)...)
	}
	return refs
}

func (w *world) load(refs []hostevents.Ref) []hostevents.Event {
	w.t.Helper()
	events, err := hostevents.NewSource(w.store, "d1").Load(w.t.Context(), refs)
	if err != nil {
		w.t.Fatal(err)
	}
	return events
}

func all(hostevents.Kind, chat.RoomID) bool { return true }

func join(room chat.RoomID, user chat.UserID) change.Change {
	return &change.Join{Room: room, User: user, Name: strings.ToUpper(string(user)), Rename: true, Create: &change.RoomSpec{Open: true}, Own: true}
}

func send(room chat.RoomID, user chat.UserID, text string) change.Change {
	return &change.Send{Room: room, User: user, Draft: chat.Draft{Text: text}}
}

// An event of each kind, in the order of the revs, with what it is about.
func TestEvents(t *testing.T) {
	w := newWorld(t)
	title := "a title"
	begun := time.Now().Add(-time.Second)
	w.do(join("r", "ann"), join("r", "bob"), send("r", "ann", "one"), send("r", "bob", "two"),
		&change.Edit{Room: "r", Seq: 1, User: "ann", Text: "edited"},
		&change.React{Room: "r", Seq: 2, User: "ann", Emoji: "👍", On: true},
		&change.Delete{Room: "r", Seq: 2, User: "bob"},
		&change.SetMember{Room: "r", By: "ann", User: "bob", Role: chat.RoleModerator},
		&change.Leave{Room: "r", User: "bob"},
		&change.SetRoom{Room: "r", By: "ann", Title: &title})
	want := []struct{ kind, data string }{
		{"member.joined", `"room":"r","user":"ann","name":"ANN","role":"owner","rev":1`},
		{"member.joined", `"room":"r","user":"bob","name":"BOB","role":"member","rev":2`},
		{"message.created", `"room":"r","seq":1,"rev":3,"user":"ann","name":"ANN","message":"edited"`}, // as it is now
		{"message.created", `"room":"r","seq":2,"rev":4,"user":"bob","name":"BOB","message":"","time":`},
		{"message.edited", `"room":"r","seq":1,"rev":5,"user":"ann","name":"ANN","message":"edited"`},
		{"reaction.changed", `"room":"r","seq":2,"rev":6,"reactions":[]`}, // they went with the message
		{"message.deleted", `"deleted":true`},
		{"member.changed", `"room":"r","user":"bob","name":"BOB","role":"moderator","rev":8`},
		{"member.left", `"room":"r","user":"bob","name":"BOB","role":"none","rev":9`},
		{"room.changed", `"room":"r","title":"a title","open":true`},
	}
	refs := w.refs("r", all)
	events := w.load(refs)
	if len(events) != len(want) {
		t.Fatalf("%d events, want %d", len(events), len(want))
	}
	ids := map[string]bool{}
	for i, e := range events {
		var got struct {
			Type, ID  string
			Timestamp time.Time
			Data      struct {
				Rev  chat.Rev
				Room chat.RoomID
			}
		}
		body := e.AppendJSON(nil)
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		ids[got.ID] = true
		if got.Type != want[i].kind || !strings.Contains(string(body), want[i].data) || got.Data.Rev != chat.Rev(i+1) ||
			got.Data.Room != "r" || got.Timestamp.Before(begun) || got.Timestamp.After(time.Now().Add(time.Second)) {
			t.Errorf("event %d is %s, want %+v", i, body, want[i])
		}
	}
	if len(ids) != len(want) {
		t.Errorf("%d ids", len(ids))
	}
	for i, e := range w.load(w.refs("r", all)) { // again
		if e.ID != events[i].ID {
			t.Errorf("event %d has another id the second time", i)
		}
		if id := refs[i].ID("d2"); ids[id] {
			t.Errorf("event %d has the same id in another deployment", i)
		}
	}
}

// Reactions are told as they are, in rooms of which more is known by then.
func TestReactions(t *testing.T) {
	w := newWorld(t)
	w.do(join("r", "ann"), join("r", "bob"), send("r", "ann", "one"),
		&change.React{Room: "r", Seq: 1, User: "bob", Emoji: "👍", On: true}, &change.React{Room: "r", Seq: 1, User: "ann", Emoji: "👍", On: true})
	events := w.load(w.refs("r", func(k hostevents.Kind, _ chat.RoomID) bool { return k == hostevents.ReactionChanged }))
	if len(events) != 2 {
		t.Fatalf("%d events", len(events))
	}
	const want = `"data":{"room":"r","seq":1,"rev":4,"reactions":[{"emoji":"👍","count":2,"users":["bob","ann"]}]}}`
	if body := string(events[0].AppendJSON(nil)); !strings.HasSuffix(body, want) {
		t.Errorf("%s, want …%s", body, want)
	}
}

// What does not exist any more is told, as deleted.
func TestRemovedRoom(t *testing.T) {
	w := newWorld(t)
	w.do(join("r", "ann"), send("r", "ann", "words"), join("r", "bob"), &change.Leave{Room: "r", User: "bob"}, &change.DeleteRoom{Room: "r", Server: true})
	for left := true; left; {
		r, err := w.lanes.Do(t.Context(), &change.RemoveRoom{Room: "r"})
		if err != nil {
			t.Fatal(err)
		}
		left = r.Changed
	}
	var got []string
	for _, e := range w.load(w.refs("r", all)) {
		got = append(got, string(e.Kind))
		if body := string(e.AppendJSON(nil)); e.Member == nil && !strings.Contains(body, `"deleted":true`) || strings.Contains(body, "words") {
			t.Errorf("%s", body)
		}
	}
	want := []string{"member.joined", "message.created", "member.joined", "member.left", "room.changed", "member.left"}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Entries of versions before they had roles, or what each rev is, tell what they can.
func TestOldEntries(t *testing.T) {
	e := &store.Entry{Rooms: []store.RoomSpan{{Room: "r", From: 5, To: 9, Members: []chat.Member{
		{Room: "r", User: "ann", Role: chat.RoleMember, Rev: 6}, {Room: "r", User: "bob", Role: chat.RoleBanned, Rev: 7},
		{Room: "r", User: "cid", Rev: 9},
	}}}}
	var got []hostevents.Kind
	for _, r := range hostevents.Of(e, all) {
		got = append(got, r.Kind)
	}
	if want := []hostevents.Kind{hostevents.MemberChanged, hostevents.MemberLeft, hostevents.MemberLeft}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Facts about users are events with ids of their own, whenever they are loaded.
func TestFacts(t *testing.T) {
	w := newWorld(t)
	w.do(&change.Connected{User: "ann", Node: "a", On: true}, &change.Connected{User: "ann", Node: "a"}, &change.Connected{User: "ann", Node: "b", On: true},
		&change.RegisterDevice{User: "ann", Device: "phone", Provider: "fcm", Address: "a", At: 1},
		&change.Notify{User: "ann", Notice: &chat.Notice{Name: "n", Title: "t"}, Life: 1000})
	jobs, err := w.store.User("ann").DuePushJobs(t.Context(), 0, 1<<60, 10)
	if err != nil || len(jobs) != 1 {
		t.Fatal(jobs, err)
	}
	w.do(&change.Pushed{User: "ann", Topic: jobs[0].Topic, Device: "phone", Made: jobs[0].Made, Outcome: change.PushFailed, Due: 1 << 60, Attempts: 2, Reason: "rejected"})
	want := []string{
		`{"type":"user.online"`, `{"type":"user.offline"`, `{"type":"user.online"`, `{"type":"push.dead"`,
	}
	refs := w.refs("ann", all) // the slot of a user and of a room of that name are one
	ids := map[string]bool{}
	for i, e := range w.load(refs) {
		data := `"data":{"user":"ann"}}`
		if i == 3 {
			data = `"data":{"user":"ann","notice":"n","device":"phone","provider":"fcm","reason":"rejected","attempts":2}}`
		}
		if body := string(e.AppendJSON(nil)); i >= len(want) || !strings.HasPrefix(body, want[i]) || !strings.HasSuffix(body, data) || !json.Valid([]byte(body)) {
			t.Errorf("event %d is %s", i, body)
		}
		ids[e.ID] = true
		if e.ID != refs[i].ID("d1") || e.Stream() != "ann" {
			t.Errorf("event %d: its id or its stream changes", i)
		}
	}
	if len(ids) != len(want) {
		t.Errorf("%d ids of %d events", len(ids), len(want))
	}
}
