package mover_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/bus/membus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/mover"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/projection"
	"github.com/roomtide/roomtide/removal"
	"github.com/roomtide/roomtide/store"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// world is a node without transports, on two shards or more.
type world struct {
	t     testing.TB
	dir   string
	wrap  func(store.Driver) store.Driver
	via   func() *store.Store // opens the databases; nil: SQLite files in dir
	lane  lane.Config         // what a test sets
	cfg   mover.Config        // what a test sets
	n     int                 // of shards
	wait  time.Duration       // for phases and conditions: so long that a busy machine is not a failure
	store *store.Store
	hub   *hub.Hub
	lanes *lane.Lanes
	box   *outbox.Outbox
	mover *mover.Mover
}

func newWorld(t testing.TB, shards int) *world {
	w := &world{t: t, dir: memory(t), n: shards, wait: 3 * time.Minute, cfg: mover.Config{Grace: time.Millisecond, Retry: time.Millisecond}}
	t.Cleanup(w.close)
	return w
}

func (w *world) open() *world {
	w.t.Helper()
	if w.via != nil {
		w.store = w.via()
	} else {
		w.store = teststore.Open(w.t, w.dir, w.n, w.wrap)
	}
	b := membus.New()
	w.hub = hub.New(hub.Config{Bus: b, Lane: func(room chat.RoomID) bus.Lane { return bus.Lane(w.store.ShardOf(room.Slot())) }})
	lc := w.lane
	lc.Store, lc.Publish, lc.AfterBatch = w.store, b.Publish, w.hub.Kick
	var err error
	if w.lanes, err = lane.Open(w.t.Context(), lc); err != nil {
		w.t.Fatal(err)
	}
	w.box, err = outbox.Open(w.t.Context(), outbox.Config{Store: w.store, Lanes: w.lanes, Apart: []string{mover.Cursor}, Consumers: []outbox.Consumer{
		projection.UserRooms(w.store, w.lanes), projection.Names(w.store, w.lanes), removal.DeletedRooms(w.lanes),
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	mc := w.cfg
	mc.Store, mc.Lanes, mc.Hub = w.store, w.lanes, w.hub
	if mc.Log == nil {
		mc.Log = slog.New(slog.NewTextHandler(testLog{w.t}, nil))
	}
	if w.mover, err = mover.Open(w.t.Context(), mc); err != nil {
		w.t.Fatal(err)
	}
	return w
}

type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) { l.t.Log(string(p[:len(p)-1])); return len(p), nil }

func (w *world) close() {
	if w.store == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	w.mover.Close()
	w.box.Close(ctx)
	w.lanes.Close()
	w.hub.Close()
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
	w.store = nil
}

func (w *world) must(c change.Change) change.Reply {
	w.t.Helper()
	r, err := w.lanes.Do(w.t.Context(), c)
	if err != nil {
		w.t.Fatalf("%T: %v", c, err)
	}
	return r
}

func send(room chat.RoomID, user chat.UserID, key, text string) *change.Send {
	return &change.Send{Room: room, User: user, Draft: chat.Draft{Key: key, Text: text}}
}

// sendMany sends messages without waiting for one before the next.
func (w *world) sendMany(room chat.RoomID, user chat.UserID, n int) {
	w.t.Helper()
	w.many(n, func(i int) change.Change { return send(room, user, fmt.Sprint(i), fmt.Sprint("message ", i)) })
}

// many makes changes without waiting for one before the next.
func (w *world) many(n int, of func(i int) change.Change) {
	w.t.Helper()
	errs := make(chan error, n)
	for i := range n {
		w.lanes.Submit(of(i), func(_ change.Reply, err error) { errs <- err })
	}
	for range n {
		if err := <-errs; err != nil {
			w.t.Fatal(err)
		}
	}
}

// start orders a move and returns the first of its records.
func (w *world) start(o mover.Order) mover.Status {
	w.t.Helper()
	moves, err := w.mover.Start(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	return moves[0]
}

// until waits until the newest move is in one of the phases.
func (w *world) until(phases ...store.MovePhase) mover.Status {
	w.t.Helper()
	var last mover.Status
	if !poll(w.wait, func() bool { last = w.newest(); return slices.Contains(phases, last.Phase) }) {
		w.t.Fatalf("the move is %+v, not %v", last, phases)
	}
	return last
}

// newest is the move that was ordered last.
func (w *world) newest() mover.Status {
	moves := w.mover.Moves(0)
	return moves[len(moves)-1]
}

// eventually waits until a condition holds.
func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	if !poll(w.wait, is) {
		w.t.Fatalf("%s: not within %v; %+v", what, w.wait, w.mover.Moves(0))
	}
}

// poll looks at a condition until it holds, and reports whether that was in time.
func poll(within time.Duration, is func() bool) bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); !is(); <-tick.C {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// move moves slots and waits until that is done.
func (w *world) move(slots *store.SlotSet, to string) mover.Status {
	w.t.Helper()
	w.start(mover.Order{Slots: slots, To: []string{to}})
	return w.until(store.MoveDone)
}

// rows are the rows that a shard has of some slots.
func (w *world) rows(shard string, slots *store.SlotSet) *store.Rows {
	w.t.Helper()
	all := &store.Rows{}
	for _, s := range w.store.Shards() {
		if s.Name() != shard {
			continue
		}
		for slot := range slots.All() {
			for after := (store.RowKey{}); ; {
				rows, next, err := s.SlotRows(w.t.Context(), slot, after, 100, 0)
				if err != nil {
					w.t.Fatal(err)
				}
				all.Add(rows)
				if after = next; next == (store.RowKey{}) {
					break
				}
			}
		}
	}
	return all
}

func (w *world) whole() {
	w.t.Helper()
	if lines, err := w.store.Check(context.Background()); err != nil || len(lines) > 0 {
		w.t.Errorf("check: %v %v", lines, err)
	}
}

func shard(n int) string { return fmt.Sprintf("shard-%d.db", n) }

func slotsOf(rooms ...chat.RoomID) *store.SlotSet {
	s := &store.SlotSet{}
	for _, r := range rooms {
		s.Add(r.Slot())
	}
	return s
}
