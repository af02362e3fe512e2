package storepresence_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/presence"
	"github.com/roomtide/roomtide/presence/presencetest"
	"github.com/roomtide/roomtide/presence/storepresence"
	"github.com/roomtide/roomtide/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	period  = 20 * time.Second // between two flushes
	portion = 50               // changes in one submission

	failedTotal = "roomtide_presence_store_failed_total"
)

// world is a store of two shards, its lanes, and the nodes that are alive.
type world struct {
	*testing.T
	store  *store.Store
	shards []*shard

	mu          sync.Mutex
	alive       []string
	err         error    // what lanes answer
	written     bool     // though they answer err, they have written it
	hold        bool     // lanes answer when released
	silent      int      // the shard whose lane does so, beside hold; -1: none
	held        []func() // answers
	submissions []int    // the changes of each
	reg         *prometheus.Registry
}

// shard holds the entries of a shard, and nothing else of a driver.
type shard struct {
	store.Driver
	mu      sync.Mutex
	entries map[chat.RoomID]map[store.OnlineEntry]bool
}

func (s *shard) Online(_ context.Context, room chat.RoomID, limit int) ([]store.OnlineEntry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Collect(maps.Keys(s.entries[room]))
	return all[:min(limit, len(all))], nil
}

func (s *shard) apply(changes []store.OnlineChange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range changes {
		switch {
		case c.Room == "" && !c.On:
			for _, entries := range s.entries {
				maps.DeleteFunc(entries, func(e store.OnlineEntry, _ bool) bool { return e.Node == c.Node })
			}
		case c.On:
			if s.entries[c.Room] == nil {
				s.entries[c.Room] = map[store.OnlineEntry]bool{}
			}
			s.entries[c.Room][c.OnlineEntry] = true
		default:
			delete(s.entries[c.Room], c.OnlineEntry)
		}
	}
}

// inBubble runs a test at a time of its own, with the given nodes alive.
func inBubble(t *testing.T, test func(w *world), alive ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(newWorld(t, alive...)) })
}

func newWorld(t *testing.T, alive ...string) *world {
	t.Helper()
	w := &world{T: t, silent: -1, alive: alive, reg: prometheus.NewRegistry()}
	names := []string{"0", "1"}
	var drivers []store.Driver
	for range names {
		s := &shard{entries: map[chat.RoomID]map[store.OnlineEntry]bool{}}
		w.shards, drivers = append(w.shards, s), append(drivers, s)
	}
	var err error
	if w.store, err = store.New(store.NewMap(names), drivers, anyMap{}, nil); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestConformance(t *testing.T) {
	presencetest.RunRecord(t, func(t *testing.T) presence.Record { return newWorld(t, "local").open("local") })
}

func (w *world) open(node string) *storepresence.Record {
	cfg := storepresence.Config{Node: node, Store: w.store, Submit: w.submit, Nodes: w.nodes}
	if node == "local" {
		cfg.Registerer = w.reg
	}
	r := storepresence.New(cfg)
	w.Cleanup(r.Close)
	return r
}

func (w *world) nodes(context.Context) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.alive == nil {
		return nil, errors.New("no control database")
	}
	return w.alive, nil
}

func (w *world) submit(shard int, changes []store.OnlineChange, done func(error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range changes {
		if c.Room != "" && w.store.ShardOf(c.Room.Slot()) != shard {
			w.Errorf("a change of %s went to shard %d", c.Room, shard)
		}
	}
	err, written := w.err, w.written
	answer := func() {
		if err == nil || written {
			w.shards[shard].apply(changes)
		}
		done(err)
	}
	w.submissions = append(w.submissions, len(changes))
	if w.hold || w.silent == shard {
		w.held = append(w.held, answer)
		return
	}
	answer()
}

// release lets the lanes answer what they hold.
func (w *world) release() {
	w.mu.Lock()
	held := w.held
	w.held = nil
	w.mu.Unlock()
	for _, answer := range held {
		answer()
	}
	synctest.Wait()
}

// submitted returns the changes of each submission since it was last asked.
func (w *world) submitted() []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	sizes := w.submissions
	w.submissions = nil
	return sizes
}

// set changes what lanes do.
func (w *world) set(hold bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hold, w.err = hold, err
}

// pass lets time pass and everything happen that is due by then.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *world) wantOnline(step string, r *storepresence.Record, want ...chat.UserID) {
	w.Helper()
	users, count, err := r.Online(w.Context(), "r", 1000)
	if err != nil || count != len(want) || !slices.Equal(users, want) {
		w.Errorf("%s: %v of %d, %v; want %v", step, users, count, err, want)
	}
}

// wantStored expects so many entries in room r.
func (w *world) wantStored(step string, want int) {
	w.Helper()
	if entries, err := w.store.Room("r").Online(w.Context(), "r", 1000); err != nil || len(entries) != want {
		w.Errorf("%s: %v, %v; want %d", step, entries, err, want)
	}
}

// metrics are the values of all metrics, by name.
func (w *world) metrics() map[string]float64 {
	w.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		w.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		m := f.GetMetric()[0]
		got[f.GetName()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
	return got
}

func (w *world) wantMetrics(step string, pending, cancelled, lost float64) {
	w.Helper()
	got := w.metrics()
	delete(got, failedTotal)
	if want := map[string]float64{
		"roomtide_presence_store_pending": pending, "roomtide_presence_store_cancelled_total": cancelled, "roomtide_presence_store_lost_total": lost,
	}; !maps.Equal(got, want) {
		w.Errorf("%s: %v, want %v", step, got, want)
	}
}

func on(room chat.RoomID, users ...chat.UserID) (cs []presence.Change) {
	for _, u := range users {
		cs = append(cs, presence.Change{Room: room, User: u, On: true})
	}
	return cs
}

func off(room chat.RoomID, users ...chat.UserID) []presence.Change {
	cs := on(room, users...)
	for i := range cs {
		cs[i].On = false
	}
	return cs
}

// The answer is the same before a change is due, while it is written, and after;
// and it is about nodes that are alive.
func TestOnline(t *testing.T) {
	inBubble(t, func(w *world) {
		r, dead := w.open("local"), w.open("dead")
		dead.Persist(on("r", "zoe"))
		r.Persist(on("r", "bob", "ann"))
		r.Persist(on("other", "cid"))
		w.wantOnline("at once", r, "ann", "bob")
		w.wantMetrics("at once", 3, 0, 0)
		w.pass(period + time.Second)
		w.wantStored("after a period", 0)
		w.wantOnline("after a period", r, "ann", "bob")
		w.set(true, nil)
		w.pass(period)
		w.wantStored("being written", 0)
		w.wantOnline("being written", r, "ann", "bob")
		w.wantMetrics("being written", 3, 0, 0)
		w.set(false, nil)
		w.release()
		w.wantStored("written", 3)
		w.wantOnline("written", r, "ann", "bob")
		w.wantMetrics("written", 0, 0, 0)
		if users, count, err := r.Online(w.Context(), "r", 1); err != nil || count != 2 || len(users) != 1 || users[0] != "ann" {
			t.Errorf("the first of two: %v of %d, %v", users, count, err)
		}
		w.mu.Lock()
		w.alive = append(w.alive, "dead")
		w.mu.Unlock()
		w.wantOnline("asked on the other node", dead, "ann", "bob", "zoe")
	}, "local")
}

// Entries of a node that is not alive do not count, and a node's own later changes
// hide its entries, not those of others.
func TestOtherNodes(t *testing.T) {
	inBubble(t, func(w *world) {
		r, other := w.open("local"), w.open("other")
		other.Persist(on("r", "zoe", "ann"))
		r.Persist(on("r", "ann", "bob"))
		w.pass(2*period + time.Second)
		w.wantOnline("the other one is dead", r, "ann", "bob")
		w.mu.Lock()
		w.alive = []string{"local", "other"}
		w.mu.Unlock()
		w.wantOnline("both are alive", r, "ann", "bob", "zoe")
		r.Persist(off("r", "ann", "bob"))
		w.wantOnline("ann and bob left this one", r, "ann", "zoe")
		w.mu.Lock()
		w.alive = nil
		w.mu.Unlock()
		if _, _, err := r.Online(w.Context(), "r", 10); err == nil {
			t.Error("an answer without knowing which nodes are alive")
		}
	}, "local")
}

// A node that starts again removes what it has recorded earlier, and only that.
func TestStartAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		first, other := w.open("local"), w.open("other")
		first.Persist(on("r", "ann"))
		other.Persist(on("r", "bob"))
		w.pass(2*period + time.Second)
		first.Close()
		w.wantStored("after the first life", 2)
		w.reg = prometheus.NewRegistry()
		w.wantOnline("in the second life", w.open("local"), "bob")
		w.wantStored("in the second life", 1)
	}, "local", "other")
}

// A user who is back before the change is written was never gone.
func TestCancelled(t *testing.T) {
	inBubble(t, func(w *world) {
		r := w.open("local")
		r.Persist(on("r", "ann"))
		w.pass(2*period + time.Second)
		w.wantStored("ann came", 1)
		w.submitted()
		r.Persist(off("r", "ann"))
		w.pass(period) // aged
		w.wantOnline("ann left", r)
		w.wantMetrics("ann left", 1, 0, 0)
		r.Persist(on("r", "ann"))
		w.wantOnline("ann is back", r, "ann")
		w.wantMetrics("ann is back", 0, 1, 0)
		r.Persist(append(off("r", "ann"), on("r", "ann")...)) // recent
		w.wantMetrics("and once more", 0, 2, 0)
		w.pass(10 * period)
		w.wantStored("in the end", 1)
		if sizes := w.submitted(); len(sizes) != 0 {
			t.Errorf("submissions %v of nothing", sizes)
		}
	}, "local")
}

// The changes of a mass reconnect are written in portions with pauses, and later
// changes do not overtake them.
func TestPortions(t *testing.T) {
	inBubble(t, func(w *world) {
		r := w.open("local")
		var users []chat.UserID
		for i := range 3*portion + 1 {
			users = append(users, chat.UserID(fmt.Sprintf("user%03d", i)))
		}
		w.submitted()
		r.Persist(on("r", users...))
		w.set(true, nil)
		w.pass(2 * period)
		w.wantMetrics("the first portion", 3*portion+1, 0, 0)
		r.Persist(off("r", users...)) // does not cancel what is being written
		w.wantOnline("all left again", r)
		w.pass(10 * period)
		w.wantMetrics("a slow lane", 6*portion+2, 0, 0)
		for i, size := range []int{portion, portion, portion, 1} {
			if got := w.submitted(); !slices.Equal(got, []int{size}) {
				t.Errorf("portion %d: submissions %v, want one of %d", i, got, size)
			}
			w.release()
			if got := w.submitted(); len(got) != 0 {
				t.Errorf("no pause after portion %d", i)
			}
			w.pass(10 * time.Millisecond)
		}
		w.wantStored("the coming", 3*portion+1)
		w.wantOnline("the leaving is not written", r)
		w.set(false, nil)
		w.pass(period)
		w.wantMetrics("not due yet", 3*portion+1, 0, 0)
		w.pass(period + time.Second)
		w.wantStored("the leaving", 0)
		w.wantMetrics("the leaving", 0, 0, 0)
	}, "local")
}

// Close waits neither for a lane that does not answer nor for a pause.
func TestClose(t *testing.T) {
	inBubble(t, func(w *world) {
		r := w.open("local")
		for i := range 2*portion + 1 {
			r.Persist(on("r", chat.UserID(fmt.Sprint("user", i))))
		}
		w.set(true, nil)
		w.pass(2 * period)
		w.release() // the first portion; a pause begins
		begin := time.Now()
		r.Close()
		r.Close()
		w.wantMetrics("closed", 0, 0, portion+1)
		hung := w.open("other")
		hung.Persist(on("r", "zoe"))
		w.pass(2 * period)
		hung.Close()
		if d := time.Since(begin); d != 2*period {
			t.Errorf("Close took %v", d-2*period)
		}
	}, "local")
}
