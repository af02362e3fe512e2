package removal_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testlanes"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/projection"
	"github.com/roomtide/roomtide/removal"
	"github.com/roomtide/roomtide/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stopping is lanes that take so many steps of a removal, and fail behind them.
type stopping struct {
	*lane.Lanes
	steps atomic.Int64
}

func (s *stopping) Do(ctx context.Context, c change.Change) (change.Reply, error) {
	if s.steps.Add(-1) < 0 {
		return change.Reply{}, errors.New("stopped")
	}
	return s.Lanes.Do(ctx, c)
}

func removals(t *testing.T, st *store.Store, room chat.RoomID) *store.Removal {
	t.Helper()
	s, err := st.Shards()[st.ShardOf(room.Slot())].Load(t.Context(), &store.Need{Removals: []chat.RoomID{room}})
	if err != nil {
		t.Fatal(err)
	}
	return s.Removals[room]
}

// A removal that broke off in the middle goes on when the server starts again, and a
// room that only changed its title is left alone.
func TestRemovalGoesOnAfterARestart(t *testing.T) {
	st, lanes := testlanes.Open(t, t.TempDir(), 2)
	defer testlanes.Close(t, st, lanes)
	do := func(c change.Change) {
		t.Helper()
		if _, err := lanes.Do(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	title := "still here"
	for _, room := range []chat.RoomID{"r", "kept"} {
		do(&change.Join{Room: room, User: "ann", Create: &change.RoomSpec{Open: true}, Own: true})
		done := make(chan error, 1000)
		for range cap(done) {
			lanes.Submit(&change.Send{Room: room, User: "ann", Draft: chat.Draft{Text: "x"}}, func(_ change.Reply, err error) { done <- err })
		}
		for range cap(done) {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	}
	do(&change.SetRoom{Room: "kept", Server: true, Title: &title})
	do(&change.DeleteRoom{Room: "r", Server: true})

	run := func(l removal.Lanes) {
		t.Helper()
		box, err := outbox.Open(t.Context(), outbox.Config{
			Store: st, Lanes: lanes, Consumers: []outbox.Consumer{projection.UserRooms(st, lanes), removal.DeletedRooms(l)},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		box.Close(ctx)
	}
	some := &stopping{Lanes: lanes}
	some.steps.Store(3)
	run(some)
	if removals(t, st, "r").Empty() {
		t.Fatal("three steps were enough")
	}
	if _, err := lanes.Do(t.Context(), &change.SetRoom{Room: "r", Server: true, Create: &change.RoomSpec{}}); chat.KindOf(err) != chat.Busy {
		t.Errorf("made again while it is removed: %v", err)
	}
	run(lanes)
	if left := removals(t, st, "r"); !left.Empty() {
		t.Errorf("left: %+v", left)
	}
	do(&change.SetRoom{Room: "r", Server: true, Create: &change.RoomSpec{}})
	if r, err := st.Room("kept").Room(t.Context(), "kept"); err != nil || r.LastSeq != 1000 {
		t.Errorf("the other room: %+v %v", r, err)
	}
	if u, err := st.User("ann").UserRoom(t.Context(), "ann", "r"); err != nil || u.Role.Present() {
		t.Errorf("ann's side: %+v %v", u, err)
	}
	if lines, err := st.Check(t.Context()); err != nil || lines != nil {
		t.Errorf("%v %v", lines, err)
	}
}
