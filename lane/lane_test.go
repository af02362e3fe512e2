package lane_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a node without connections: lanes over real databases, and what
// they published.
type world struct {
	t      testing.TB
	dir    string
	store  *store.Store
	lanes  *lane.Lanes
	break_ func(store.Driver) store.Driver // wraps drivers; nil: not
	now    func() time.Time                // nil: the real clock

	pushOff bool
	reg     prometheus.Registerer // nil: no metrics

	mu      sync.Mutex
	events  map[chat.RoomID][]*chat.Event
	batches []bus.Batch
	fenced  []int
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, dir: t.TempDir()}
	w.open()
	t.Cleanup(w.close)
	return w
}

func (w *world) open() {
	w.t.Helper()
	w.events = map[chat.RoomID][]*chat.Event{}
	var err error
	w.store = teststore.Open(w.t, w.dir, 2, w.break_)
	w.lanes, err = lane.Open(w.t.Context(), lane.Config{
		Store: w.store, MaxWaiting: 64, Now: w.now, PushOff: w.pushOff, Registerer: w.reg,
		Publish: func(b *bus.Batch) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.batches = append(w.batches, *b)
			for _, r := range b.Rooms {
				w.events[r.Room] = append(w.events[r.Room], r.Events...)
			}
			return nil
		},
		OnFenced: func(shard int) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.fenced = append(w.fenced, shard)
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) close() {
	w.lanes.Close()
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
}

func (w *world) do(op change.Change) (change.Reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return w.lanes.Do(ctx, op)
}

func (w *world) must(op change.Change) change.Reply {
	w.t.Helper()
	r, err := w.do(op)
	if err != nil {
		w.t.Fatalf("%T: %v", op, err)
	}
	return r
}

// published returns what the room was told. Acks come before events: what passes
// the lane now comes after both.
func (w *world) published(room chat.RoomID) []*chat.Event {
	w.do(&change.Leave{Room: room, User: "nobody"})
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.events[room]
}

func (w *world) join(room chat.RoomID, users ...chat.UserID) {
	w.t.Helper()
	for _, u := range users {
		w.must(&change.Join{Room: room, User: u, Create: &change.RoomSpec{Open: true}, Own: true})
	}
}

func send(room chat.RoomID, user chat.UserID, key, text string) *change.Send {
	return &change.Send{Room: room, User: user, Draft: chat.Draft{Text: text, Key: key}}
}

func wantKind(t testing.TB, err error, want chat.Kind) {
	t.Helper()
	if err == nil || chat.KindOf(err) != want {
		t.Fatalf("error is %v, want %s", err, want.Code())
	}
}

func TestNumbersAndEvents(t *testing.T) {
	w := newWorld(t)
	w.join("r", "ann", "bob")
	for i := range 5 {
		r := w.must(send("r", "ann", "", "hello"))
		if r.Seq != chat.Seq(i+1) || r.Rev != chat.Rev(i+3) || r.Time == 0 {
			t.Fatalf("message %d was answered %+v", i, r)
		}
	}
	evs := w.published("r")
	if len(evs) != 7 {
		t.Fatalf("%d events, want 2 joins and 5 messages", len(evs))
	}
	for i, ev := range evs {
		if ev.Rev != chat.Rev(i+1) || ev.Room != "r" {
			t.Fatalf("event %d is %+v", i, ev)
		}
	}
	if m := evs[6].Message; m.Seq != 5 || m.Rev != 7 || m.Created != 7 || m.Text != "hello" || m.User != "ann" {
		t.Fatalf("the last message is %+v", m)
	}
}

func TestSameKeyIsTheSameMessage(t *testing.T) {
	w := newWorld(t)
	w.join("r", "ann", "bob")
	first := w.must(send("r", "ann", "k", "hello"))
	check := func(when string) {
		t.Helper()
		again := w.must(send("r", "ann", "k", "hello"))
		if !again.Repeated || again.Seq != first.Seq || again.Rev != first.Rev || again.Time != first.Time {
			t.Fatalf("%s: first %+v, again %+v", when, first, again)
		}
		_, err := w.do(send("r", "ann", "k", "other"))
		wantKind(t, err, chat.Conflict)
	}
	check("at once")
	w.must(&change.Edit{Room: "r", Seq: first.Seq, User: "ann", Text: "edited"})
	check("after an edit")
	w.must(&change.Delete{Room: "r", Seq: first.Seq, User: "ann"})
	check("after a deletion")
	w.close()
	w.open()
	check("after a restart")
	if r := w.must(send("r", "bob", "k", "mine")); r.Repeated {
		t.Fatal("another sender's key counted")
	}
	w.join("r2", "ann")
	if r := w.must(send("r2", "ann", "k", "there")); r.Repeated {
		t.Fatal("another room's key counted")
	}
}

// Ops of one batch see each other: the gate holds the lane until all are waiting.
func TestOpsOfOneBatchSeeEachOther(t *testing.T) {
	gate := make(chan struct{})
	w := &world{t: t, dir: t.TempDir()}
	w.break_ = func(d store.Driver) store.Driver { return &faulty{Driver: d, gate: gate} }
	w.open()
	t.Cleanup(w.close)

	type result struct {
		r   change.Reply
		err error
	}
	results := make(chan result, 16)
	submit := func(op change.Change) {
		w.lanes.Submit(op, func(r change.Reply, err error) { results <- result{r, err} })
	}
	submit(&change.Join{Room: "r", User: "ann", Create: &change.RoomSpec{Open: true}, Own: true}) // held in its commit
	submit(send("r", "ann", "k", "one"))
	submit(send("r", "ann", "k", "one"))
	submit(send("r", "ann", "k", "two"))
	submit(&change.Edit{Room: "r", Seq: 1, User: "ann", Text: "edited"})
	submit(&change.React{Room: "r", Seq: 1, User: "ann", Emoji: "+", On: true})
	submit(&change.React{Room: "r", Seq: 1, User: "ann", Emoji: "+", On: true})
	submit(&change.Leave{Room: "r", User: "ann"})
	submit(send("r", "ann", "k2", "gone"))
	close(gate)

	want := []struct {
		kind     chat.Kind
		rev      chat.Rev
		repeated bool
	}{{rev: 1}, {rev: 2}, {rev: 2, repeated: true}, {kind: chat.Conflict}, {rev: 3}, {rev: 4}, {rev: 4}, {rev: 5}, {kind: chat.NotMember}}
	for i, x := range want {
		got := <-results
		switch {
		case x.kind != 0:
			if got.err == nil || chat.KindOf(got.err) != x.kind {
				t.Errorf("op %d: %v, want %s", i, got.err, x.kind.Code())
			}
		case got.err != nil || got.r.Rev != x.rev || got.r.Repeated != x.repeated:
			t.Errorf("op %d: %+v %v, want rev %d repeated %v", i, got.r, got.err, x.rev, x.repeated)
		}
	}
	// The message as it was when it was written is what its event still says.
	evs := w.published("r")
	if len(evs) != 5 || evs[1].Message.Text != "one" || evs[2].Message.Text != "edited" {
		t.Fatalf("events %+v", evs)
	}
	ms, _, err := w.store.Room("r").Messages(t.Context(), "r", store.Page{Limit: 10})
	if err != nil || len(ms) != 1 || ms[0].Text != "edited" || ms[0].Rev != 4 || ms[0].Created != 2 || len(ms[0].Reactions) != 1 {
		t.Fatalf("stored %+v %v", ms, err)
	}
}

func TestRules(t *testing.T) {
	w := newWorld(t)
	w.join("r", "owner", "ann", "bob")
	w.must(send("r", "ann", "", "ann's"))
	w.must(&change.SetMember{Room: "r", By: "owner", User: "mod", Role: chat.RoleModerator})
	yes := true
	for _, c := range []struct {
		name string
		op   change.Change
		want chat.Kind // 0: allowed
	}{
		{"send to no room", send("nowhere", "ann", "", "x"), chat.NotMember},
		{"send as a stranger", send("r", "eve", "", "x"), chat.NotMember},
		{"reply to nothing", &change.Send{Room: "r", User: "ann", Draft: chat.Draft{Text: "x", ReplyTo: 99}}, chat.Invalid},
		{"edit another's", &change.Edit{Room: "r", Seq: 1, User: "owner", Text: "x"}, chat.Forbidden},
		{"edit nothing", &change.Edit{Room: "r", Seq: 99, User: "ann", Text: "x"}, chat.NotFound},
		{"edit as a stranger", &change.Edit{Room: "r", Seq: 1, User: "eve", Text: "x"}, chat.NotMember},
		{"edit nothing as a stranger", &change.Edit{Room: "r", Seq: 99, User: "eve", Text: "x"}, chat.NotMember},
		{"edit in no room", &change.Edit{Room: "nowhere", Seq: 99, User: "eve", Text: "x"}, chat.NotMember},
		{"edit in no room as the back end", &change.Edit{Room: "nowhere", Seq: 1, Server: true, Text: "x"}, chat.NotFound},
		{"delete nothing as a stranger", &change.Delete{Room: "r", Seq: 99, User: "eve"}, chat.NotMember},
		{"react to nothing as a stranger", &change.React{Room: "r", Seq: 99, User: "eve", Emoji: "+", On: true}, chat.NotMember},
		{"set a member of no room", &change.SetMember{Room: "nowhere", By: "ann", User: "bob", Role: chat.RoleMember}, chat.NotMember},
		{"delete another's", &change.Delete{Room: "r", Seq: 1, User: "bob"}, chat.Forbidden},
		{"react as a stranger", &change.React{Room: "r", Seq: 1, User: "eve", Emoji: "+", On: true}, chat.NotMember},
		{"promote oneself", &change.SetMember{Room: "r", By: "ann", User: "ann", Role: chat.RoleOwner}, chat.Forbidden},
		{"demote the owner", &change.SetMember{Room: "r", By: "mod", User: "owner", Role: chat.RoleMember}, chat.Forbidden},
		{"change the room as moderator", &change.SetRoom{Room: "r", By: "mod", Open: &yes}, chat.Forbidden},
		{"change the room as a stranger", &change.SetRoom{Room: "r", By: "eve", Open: &yes}, chat.NotMember},
		{"join no room", &change.Join{Room: "nowhere", User: "ann"}, chat.Forbidden},
		{"leave no room", &change.Leave{Room: "nowhere", User: "ann"}, 0},
		{"ban as moderator", &change.SetMember{Room: "r", By: "mod", User: "bob", Role: chat.RoleBanned}, 0},
		{"come back banned", &change.Join{Room: "r", User: "bob"}, chat.Forbidden},
		{"come back banned with a grant", &change.Join{Room: "r", User: "bob", Granted: true}, chat.Forbidden},
		{"close the room", &change.SetRoom{Room: "r", By: "owner", Open: new(bool), ReadOnly: &yes}, 0},
		{"join a closed room", &change.Join{Room: "r", User: "eve"}, chat.Forbidden},
		{"join a closed room with a grant", &change.Join{Room: "r", User: "eve", Granted: true}, 0},
		{"send in a read-only room", send("r", "ann", "", "x"), chat.Forbidden},
		{"send in a read-only room as moderator", send("r", "mod", "", "x"), 0},
		{"edit mine in a read-only room", &change.Edit{Room: "r", Seq: 1, User: "ann", Text: "y"}, chat.Forbidden},
		{"react in a read-only room", &change.React{Room: "r", Seq: 1, User: "ann", Emoji: "+", On: true}, chat.Forbidden},
		{"take a reaction back in a read-only room", &change.React{Room: "r", Seq: 1, User: "ann", Emoji: "+"}, 0},
		{"react in a read-only room as moderator", &change.React{Room: "r", Seq: 1, User: "mod", Emoji: "+", On: true}, 0},
		{"put a banned user out", &change.SetMember{Room: "r", By: "mod", User: "bob"}, 0},
		{"come back after that", &change.Join{Room: "r", User: "bob", Granted: true}, chat.Forbidden},
		{"end the ban", &change.SetMember{Room: "r", By: "mod", User: "bob", Unban: true}, 0},
		{"come back after the ban", &change.Join{Room: "r", User: "bob", Granted: true}, 0},
		{"send as the back end", &change.Send{Room: "r", User: "shop", Server: true, Draft: chat.Draft{Text: "x"}}, 0},
		{"delete as moderator", &change.Delete{Room: "r", Seq: 1, User: "mod"}, 0},
		{"edit a tombstone", &change.Edit{Room: "r", Seq: 1, User: "mod", Text: "x"}, chat.NotFound},
		{"react to a tombstone", &change.React{Room: "r", Seq: 1, User: "mod", Emoji: "+", On: true}, chat.NotFound},
	} {
		before := len(w.published("r"))
		_, err := w.do(c.op)
		if c.want == 0 && err != nil || c.want != 0 && (err == nil || chat.KindOf(err) != c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want.Code())
		}
		if told := len(w.published("r")) - before; err != nil && told != 0 {
			t.Errorf("%s failed and was told to the room", c.name)
		}
	}
}

// crowd has user0, user1… join, a multiple of 16 of them.
func (w *world) crowd(room chat.RoomID, members int) {
	for from := 0; from < members; from += 16 { // with what projects them, fewer than may wait
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Add(1)
			op := &change.Join{Room: room, User: chat.UserID(fmt.Sprint("user", from+i)), Create: &change.RoomSpec{Open: true}}
			w.lanes.Submit(op, func(_ change.Reply, err error) {
				if err != nil {
					w.t.Error(err)
				}
				wg.Done()
			})
		}
		wg.Wait()
	}
}

// Joins of a large room are told together, without a hole in rev, and each
// member row knows its own rev.
func TestLargeRoomIsToldOfJoinsTogether(t *testing.T) {
	w := newWorld(t)
	const members = 320
	w.crowd("r", members)
	var rev chat.Rev
	names, together := 0, 0
	for _, ev := range w.published("r") {
		if ev.After() != rev {
			t.Fatalf("%+v after rev %d", ev, rev)
		}
		rev = ev.Rev
		switch ev.Kind {
		case chat.EventMember:
			names++
		case chat.EventMembers:
			together++
			if ev.Count != int(ev.Rev) {
				t.Errorf("%d members told at rev %d", ev.Count, ev.Rev)
			}
		}
	}
	if names != 200 || together == 0 || rev != members {
		t.Errorf("%d told by name, %d events for the others, up to rev %d", names, together, rev)
	}
	d, err := w.store.Room("r").Delta(t.Context(), "r", 250, 1000, 0)
	if err != nil || len(d.Members) != 70 || d.Members[0].Rev != 251 || d.Rev != members {
		t.Errorf("after rev 250: %d members, %v", len(d.Members), err)
	}
}

func TestMarksNeverGoBack(t *testing.T) {
	w := newWorld(t)
	w.join("r", "ann")
	for i, step := range []struct {
		seq, want chat.Seq
		changed   bool
	}{{3, 3, true}, {2, 3, false}, {3, 3, false}, {9, 9, true}} {
		r := w.must(&change.Read{User: "ann", Room: "r", Seq: step.seq})
		if r.Read != step.want || r.Changed != step.changed {
			t.Errorf("step %d: %+v", i, r)
		}
	}
}

func TestEmojiAreBounded(t *testing.T) {
	w := newWorld(t)
	w.join("r", "ann", "bob")
	w.must(send("r", "ann", "", "x"))
	most := chat.DefaultLimits().Emojis
	for i := range most {
		w.must(&change.React{Room: "r", Seq: 1, User: "ann", Emoji: string(rune('a' + i)), On: true})
	}
	_, err := w.do(&change.React{Room: "r", Seq: 1, User: "ann", Emoji: "one more", On: true})
	wantKind(t, err, chat.TooLarge)
	w.must(&change.React{Room: "r", Seq: 1, User: "bob", Emoji: "a", On: true})
	w.must(&change.React{Room: "r", Seq: 1, User: "ann", Emoji: "b", On: false})
	w.must(&change.React{Room: "r", Seq: 1, User: "ann", Emoji: "one more", On: true})
}

var errDisk = errors.New("the disk says no")

// faulty is a driver whose commits can be held and made to fail.
type faulty struct {
	store.Driver
	gate chan struct{} // nil: open

	mu     sync.Mutex
	before error // the commit fails with it and does not happen
	after  error // the commit happens, and fails with it
}

func (f *faulty) set(before, after error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after = before, after
}

func (f *faulty) Commit(ctx context.Context, l store.LaneID, at store.Position, ch *store.Changes) error {
	if f.gate != nil {
		<-f.gate
	}
	f.mu.Lock()
	before, after := f.before, f.after
	f.mu.Unlock()
	if before != nil {
		return before
	}
	if err := f.Driver.Commit(ctx, l, at, ch); err != nil {
		return err
	}
	return after
}

func newFaultyWorld(t *testing.T) (*world, []*faulty) {
	var fs []*faulty
	w := &world{t: t, dir: t.TempDir()}
	w.break_ = func(d store.Driver) store.Driver {
		f := &faulty{Driver: d}
		fs = append(fs, f)
		return f
	}
	w.open()
	t.Cleanup(w.close)
	return w, fs
}

func TestFullDisk(t *testing.T) {
	w, fs := newFaultyWorld(t)
	w.join("r", "ann")
	for _, f := range fs {
		f.set(chat.Wrap(chat.ReadOnly, "test", errDisk), nil)
	}
	_, err := w.do(send("r", "ann", "k", "x"))
	wantKind(t, err, chat.ReadOnly)
	if w.lanes.Err() == nil {
		t.Error("the lanes say that writing works")
	}
	for _, f := range fs {
		f.set(nil, nil)
	}
	if r := w.must(send("r", "ann", "k", "x")); r.Repeated || r.Seq != 1 || r.Rev != 2 {
		t.Errorf("after the disk had room again: %+v", r)
	}
	if evs := w.published("r"); len(evs) != 2 {
		t.Errorf("%d events, want the join and one message", len(evs))
	}
}

// A commit whose outcome is not known is settled by the position.
func TestCommitOfUnknownOutcome(t *testing.T) {
	w, fs := newFaultyWorld(t)
	w.join("r", "ann")
	unknown := chat.Wrap(chat.Unavailable, "test", errDisk)
	for _, f := range fs {
		f.set(nil, unknown)
	}
	if r := w.must(send("r", "ann", "k1", "happened")); r.Seq != 1 {
		t.Fatalf("%+v", r)
	}
	for _, f := range fs {
		f.set(unknown, nil)
	}
	_, err := w.do(send("r", "ann", "k2", "did not happen"))
	wantKind(t, err, chat.Unavailable)
	for _, f := range fs {
		f.set(nil, nil)
	}
	if r := w.must(send("r", "ann", "k2", "did not happen")); r.Seq != 2 || r.Repeated {
		t.Fatalf("%+v", r)
	}
	for i, ev := range w.published("r") {
		if ev.Rev != chat.Rev(i+1) {
			t.Fatalf("event %d has rev %d", i, ev.Rev)
		}
	}
}

func TestSecondOwnerFences(t *testing.T) {
	w := newWorld(t)
	w.join("r", "ann")
	shard := w.store.ShardOf(chat.RoomID("r").Slot())
	if _, err := w.store.Shards()[shard].Acquire(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	_, err := w.do(send("r", "ann", "", "from the old owner"))
	wantKind(t, err, chat.Fenced)
	_, err = w.do(send("r", "ann", "", "again"))
	wantKind(t, err, chat.Unavailable)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.fenced) != 1 || w.fenced[0] != shard {
		t.Errorf("fenced: %v", w.fenced)
	}
	if len(w.events["r"]) != 1 {
		t.Error("an event of the old owner was told")
	}
}

func TestFullLaneRefuses(t *testing.T) {
	gate := make(chan struct{})
	w := &world{t: t, dir: t.TempDir()}
	w.break_ = func(d store.Driver) store.Driver { return &faulty{Driver: d, gate: gate} }
	w.open()
	t.Cleanup(w.close)
	var wg sync.WaitGroup
	refused := make(chan error, 1000)
	for range 200 {
		wg.Add(1)
		w.lanes.Submit(&change.Join{Room: "r", User: "ann", Create: &change.RoomSpec{Open: true}, Own: true}, func(_ change.Reply, err error) {
			if err != nil {
				refused <- err
			}
			wg.Done()
		})
	}
	close(gate)
	wg.Wait()
	close(refused)
	n := 0
	for err := range refused {
		n++
		var e *chat.Error
		if !change.IsFull(err) || !errors.As(err, &e) || e.RetryAfter <= 0 {
			t.Fatalf("%v does not say when to come back", err)
		}
	}
	// 64 wait, and whatever the lane had taken when it was held.
	if n < 200-2*64 || n > 200-64 {
		t.Errorf("%d of 200 refused", n)
	}
}

func TestCloseCommitsWhatWaits(t *testing.T) {
	w := newWorld(t)
	w.join("r", "ann")
	acks := make(chan error, 50)
	for range 50 {
		w.lanes.Submit(send("r", "ann", "", "x"), func(_ change.Reply, err error) { acks <- err })
	}
	w.close()
	for range 50 {
		if err := <-acks; err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.do(send("r", "ann", "", "too late"))
	wantKind(t, err, chat.Unavailable)
	w.open()
	if r, err := w.store.Room("r").Room(t.Context(), "r"); err != nil || r.LastSeq != 50 {
		t.Fatalf("%+v %v", r, err)
	}
}
