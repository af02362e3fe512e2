package feed

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
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

// world is feeds over real lanes and databases, with a clock that the test moves.
type world struct {
	*Feeds
	t     *testing.T
	store *store.Store
	lanes *lane.Lanes
	now   time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: time.UnixMilli(0)}
	w.store, w.lanes = testlanes.Open(t, t.TempDir(), 2)
	w.Feeds = Open(Config{
		Store: w.store, Lanes: w.lanes, Events: hostevents.NewSource(w.store, "d"), Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() {
		w.Close()
		testlanes.Close(t, w.store, w.lanes)
	})
	for i := range 4 {
		w.do(&change.SetRoom{Room: room(i), Server: true, Create: &change.RoomSpec{}})
	}
	return w
}

// room is one of rooms in both shards.
func room(i int) chat.RoomID { return chat.RoomID(fmt.Sprint("room", i)) }

func (w *world) do(c change.Change) {
	w.t.Helper()
	if _, err := w.lanes.Do(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) send(i int, text string) {
	w.t.Helper()
	w.do(&change.Send{Room: room(i), User: "ann", Server: true, Draft: chat.Draft{Text: text}})
}

func (w *world) make(name string) {
	w.t.Helper()
	if _, _, err := w.Make(w.t.Context(), name, false); err != nil {
		w.t.Fatal(err)
	}
}

// read returns the texts that the page has, and its end.
func (w *world) read(name, after string, limit int) (texts map[string]int, next string) {
	w.t.Helper()
	p, err := w.Read(w.t.Context(), name, after, limit, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	texts = map[string]int{}
	for _, e := range p.Events {
		texts[e.Message.Text]++
	}
	return texts, p.Next
}

// What was not acknowledged comes again; what was is gone, for this feed alone.
func TestRead(t *testing.T) {
	w := newWorld(t)
	w.send(0, "before")
	w.make("one")
	w.make("two")
	for i := range 40 {
		w.send(i%4, fmt.Sprint(i))
	}
	for range 2 {
		if texts, _ := w.read("one", "", 1000); len(texts) != 40 {
			t.Fatalf("%v", texts)
		}
	}
	got, after, reads := map[string]int{}, "", 0
	for len(got) < 40 && reads < 100 {
		var texts map[string]int
		texts, after = w.read("one", after, 3)
		for text, n := range texts {
			got[text] += n
		}
		if len(texts) < 3 && len(got) < 40 {
			t.Errorf("a page of %d behind %d: it says that there is no more", len(texts), len(got))
		}
		reads++
	}
	for text, n := range got {
		if n != 1 {
			t.Errorf("%s came %d times", text, n)
		}
	}
	if reads < 40/4 {
		t.Errorf("%d reads with a limit of 3", reads)
	}
	if texts, _ := w.read("one", after, 1000); len(texts) != 0 {
		t.Errorf("%v", texts)
	}
	_, err := w.Read(t.Context(), "one", "0.1-1.1", 1, 0)
	wantKind(t, err, chat.Conflict)
	for _, bad := range []string{"x", "0.1", "0.1-0.2", "1.99999999999999999999-0.1"} {
		if _, err := w.Read(t.Context(), "one", bad, 1, 0); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
	if texts, _ := w.read("two", "", 1000); len(texts) != 40 {
		t.Errorf("%v", texts)
	}
}

// A read waits for what is committed, as long as it may.
func TestWait(t *testing.T) {
	w := newWorld(t)
	w.make("one")
	read := make(chan *Page, 1)
	go func() {
		p, err := w.Read(context.Background(), "one", "", 10, time.Minute)
		if err != nil {
			t.Error(err)
		}
		read <- p
	}()
	w.send(1, "hello")
	if p := <-read; len(p.Events) != 1 || p.Events[0].Message.Text != "hello" {
		t.Errorf("%+v", p)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, next := w.read("one", "", 10)
	_, err := w.Read(ctx, "one", next, 10, time.Minute)
	wantKind(t, err, chat.Unavailable)
}

// What was put in as the past is not told.
func TestHistoryIsNotTold(t *testing.T) {
	w := newWorld(t)
	w.make("one")
	w.do(&change.Import{Room: room(0), History: true, Messages: []change.Imported{{User: "ann", Key: "1", Text: "old", Time: 1}}})
	w.do(&change.Import{Room: room(0), Messages: []change.Imported{{User: "ann", Key: "2", Text: "new", Time: 2}}})
	if texts, _ := w.read("one", "", 10); len(texts) != 1 || texts["new"] != 1 {
		t.Errorf("%v", texts)
	}
}

// Users who come and go are in feeds that are made with them, and are noted while there is one.
func TestUsers(t *testing.T) {
	w := newWorld(t)
	w.make("rooms")
	w.look(t.Context())
	if w.Attended() {
		t.Error("attended without a feed that has users")
	}
	if info, created, err := w.Make(t.Context(), "all", true); err != nil || !created || !info.Users || info.Name != "all" {
		t.Fatalf("%+v, %v, %v", info, created, err)
	}
	if !w.Attended() {
		t.Error("not attended where the feed was made")
	}
	w.attended.Store(false) // as on another node
	if w.look(t.Context()); !w.Attended() {
		t.Error("not attended on another node")
	}
	if _, created, err := w.Make(t.Context(), "all", true); err != nil || created {
		t.Errorf("made again: %v, %v", created, err)
	}
	for name, users := range map[string]bool{"all": false, "rooms": true} {
		_, _, err := w.Make(t.Context(), name, users)
		wantKind(t, err, chat.Conflict)
	}
	w.do(&change.Connected{User: "ann", Node: "n1", On: true})
	w.send(0, "hello")
	w.do(&change.Connected{User: "ann", Node: "n1"})
	kinds := func(name string) (next string, kinds []hostevents.Kind) {
		t.Helper()
		p, err := w.Read(t.Context(), name, "", 10, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range p.Events {
			if e.Fact != nil && e.Fact.User != "ann" {
				t.Errorf("%s is about %s", e.Kind, e.Fact.User)
			}
			kinds = append(kinds, e.Kind)
		}
		slices.Sort(kinds) // the room may be in another shard
		return p.Next, kinds
	}
	if _, got := kinds("rooms"); !slices.Equal(got, []hostevents.Kind{hostevents.MessageCreated}) {
		t.Errorf("without users: %v", got)
	}
	next, got := kinds("all")
	if !slices.Equal(got, []hostevents.Kind{hostevents.MessageCreated, hostevents.UserOffline, hostevents.UserOnline}) {
		t.Errorf("with users: %v", got)
	}
	if p, err := w.Read(t.Context(), "all", next, 10, 0); err != nil || len(p.Events) != 0 {
		t.Errorf("after it was acknowledged: %v, %v", p, err)
	}
	if err := w.Drop(t.Context(), "all"); err != nil {
		t.Fatal(err)
	}
	if w.look(t.Context()); w.Attended() {
		t.Error("attended when the feed was dropped")
	}
}

// A feed that is not read for a week is dropped, but not one that has nothing to read.
func TestUnreadFeedsAreDropped(t *testing.T) {
	w := newWorld(t)
	w.make("read")
	w.make("unread")
	w.make("idle")
	w.send(0, "one")
	_, read := w.read("read", "", 10)
	_, idle := w.read("idle", "", 10)
	w.read("idle", idle, 10)
	seen := map[string]unread{}
	for range 8 {
		if err := w.sweepOnce(t.Context(), seen); err != nil {
			t.Fatal(err)
		}
		_, read = w.read("read", read, 10)
		w.now = w.now.Add(24 * time.Hour)
	}
	all, err := w.List(t.Context())
	if err != nil || len(all) != 2 || all[0].Name != "idle" || all[1].Name != "read" {
		t.Errorf("%v, %v", all, err)
	}
	_, err = w.Read(t.Context(), "unread", "", 1, 0)
	wantKind(t, err, chat.NotFound)
	if err := w.Drop(t.Context(), "read"); err != nil {
		t.Error(err)
	}
	wantKind(t, w.Drop(t.Context(), "read"), chat.NotFound)
	_, _, err = w.Make(t.Context(), "Not A Name", false)
	wantKind(t, err, chat.Invalid)
}

func wantKind(t *testing.T, err error, kind chat.Kind) {
	t.Helper()
	if err == nil || chat.KindOf(err) != kind {
		t.Errorf("%v, want %s", err, kind.Code())
	}
}
