package presence_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/presence"
	"github.com/roomtide/roomtide/presence/mempresence"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// flaky is a driver that can be down and knows another node.
type flaky struct {
	*mempresence.Driver
	elsewhere []chat.UserID // online on another node, in every room; set before use

	mu   sync.Mutex
	down bool
}

func (f *flaky) set(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

func (f *flaky) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return errors.New("down")
	}
	return nil
}

func (f *flaky) Apply(ctx context.Context, changes []presence.Change) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.Driver.Apply(ctx, changes)
}

func (f *flaky) Online(ctx context.Context, room chat.RoomID, limit int) ([]chat.UserID, int, error) {
	if err := f.err(); err != nil {
		return nil, 0, err
	}
	users, _, err := f.Driver.Online(ctx, room, 1000)
	for _, u := range f.elsewhere {
		if !slices.Contains(users, u) {
			users = append(users, u)
		}
	}
	slices.Sort(users)
	return users[:min(limit, len(users))], len(users), err
}

// harness is a tracker whose events and persisted changes are kept.
type harness struct {
	*testing.T
	*presence.Tracker
	driver *flaky
	record *record
}

// record is a presence.Record that keeps what was published and persisted. It
// knows one user, if any.
type record struct {
	asked atomic.Int32

	mu        sync.Mutex
	stored    chat.UserID // "": the record cannot answer either
	published []string    // "room online +came -went"
	persisted []string    // "room +user"
}

func (r *record) Persist(changes []presence.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range changes {
		sign := " -"
		if c.On {
			sign = " +"
		}
		r.persisted = append(r.persisted, string(c.Room)+sign+string(c.User))
	}
}

func (r *record) Online(context.Context, chat.RoomID, int) ([]chat.UserID, int, error) {
	r.asked.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stored == "" {
		return nil, 0, errors.New("no record")
	}
	return []chat.UserID{r.stored}, 1, nil
}

// inBubble runs the test with delays of its own, if cfg has none: those that a node
// has may change.
func inBubble(t *testing.T, cfg presence.Config, test func(h *harness)) {
	t.Helper()
	if cfg.Grace == 0 {
		cfg.Grace = 5 * time.Second
	}
	if cfg.Tick == 0 {
		cfg.Tick = time.Second
	}
	synctest.Test(t, func(t *testing.T) {
		h := &harness{T: t, driver: &flaky{Driver: mempresence.New()}, record: &record{}}
		cfg.Driver = h.driver
		cfg.Publish = h.publish
		cfg.Record = h.record
		cfg.Registerer = prometheus.NewRegistry()
		h.Tracker = presence.New(cfg)
		defer h.Close()
		test(h)
	})
}

func (h *harness) publish(ev *chat.Event) {
	h.record.mu.Lock()
	defer h.record.mu.Unlock()
	if ev.Kind != chat.EventPresence || ev.Room == "" || ev.Rev != 0 {
		h.Errorf("event %+v", ev)
	}
	s := fmt.Sprint(ev.Room, " ", ev.Presence.Online)
	for _, u := range ev.Presence.Came {
		s += " +" + string(u)
	}
	for _, u := range ev.Presence.Went {
		s += " -" + string(u)
	}
	h.record.published = append(h.record.published, s)
}

// expect lets d pass and compares what was published and persisted meanwhile.
func (h *harness) expect(d time.Duration, published, persisted string) {
	h.Helper()
	time.Sleep(d)
	synctest.Wait()
	r := h.record
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := strings.Join(r.published, "; "); got != published {
		h.Fatalf("published %q, want %q", got, published)
	}
	if got := strings.Join(r.persisted, "; "); got != persisted {
		h.Fatalf("persisted %q, want %q", got, persisted)
	}
	r.published, r.persisted = nil, nil
}

func (h *harness) online(room chat.RoomID, limit, count int, users ...chat.UserID) {
	h.Helper()
	got, err := h.Online(h.Context(), room, limit)
	if err != nil || got.Count != count || !slices.Equal(got.Users, users) || got.Degraded != (h.driver.err() != nil) {
		h.Fatalf("online %+v, %v; want %v, %d", got, err, users, count)
	}
}

// remembersNothing checks that the tracker holds nothing of any user.
func (h *harness) remembersNothing() {
	h.Helper()
	if n := h.Remembered(); n != 0 {
		h.Fatalf("%d things are remembered", n)
	}
}

// half a tick after which the clock is between two ticks.
const half = 500 * time.Millisecond

func TestCameAndWent(t *testing.T) {
	inBubble(t, presence.Config{}, func(h *harness) {
		h.expect(half, "", "")
		h.Enter("a", "bob")
		h.Enter("a", "ann")
		h.Enter("b", "ann")
		h.online("a", 10, 2, "ann", "bob") // at once, before any tick
		h.online("a", 1, 2, "ann")
		h.expect(time.Second, "a 2 +ann +bob; b 1 +ann", "a +ann; a +bob; b +ann")
		h.online("a", 10, 2, "ann", "bob")
		h.Leave("a", "ann")
		h.online("a", 10, 2, "ann", "bob") // within grace
		h.expect(4*time.Second, "", "")
		h.expect(2*time.Second, "a 1 -ann", "a -ann")
		h.online("a", 10, 1, "bob")
		h.Leave("a", "nobody")
		h.Leave("c", "ann")
		h.expect(time.Minute, "", "")
		h.Leave("a", "bob")
		h.Leave("b", "ann")
		h.expect(time.Minute, "a 0 -bob; b 0 -ann", "a -bob; b -ann")
		h.remembersNothing()
	})
}

func TestConnectionsAreCounted(t *testing.T) {
	inBubble(t, presence.Config{}, func(h *harness) {
		h.expect(half, "", "")
		h.Enter("a", "ann")
		h.Enter("a", "ann")
		h.expect(time.Second, "a 1 +ann", "a +ann")
		h.Leave("a", "ann")
		h.expect(time.Minute, "", "")
		h.Leave("a", "ann")
		h.Leave("a", "ann") // one too many
		h.Enter("a", "ann")
		h.Leave("a", "ann")
		h.expect(time.Minute, "a 0 -ann", "a -ann")
		h.online("a", 10, 0)
	})
}

func TestGrace(t *testing.T) {
	inBubble(t, presence.Config{}, func(h *harness) {
		h.expect(half, "", "")
		h.Enter("a", "ann")
		h.expect(time.Second, "a 1 +ann", "a +ann")
		for range 5 { // away for 3 of every 4 seconds: never went
			h.Leave("a", "ann")
			h.expect(3*time.Second, "", "")
			h.Enter("a", "ann")
			h.expect(time.Second, "", "")
		}
		h.Leave("a", "ann")
		h.expect(4*time.Second, "", "")
		h.expect(2*time.Second, "a 0 -ann", "a -ann")
	})
}

func TestRemove(t *testing.T) {
	inBubble(t, presence.Config{}, func(h *harness) {
		h.expect(half, "", "")
		h.Enter("a", "ann")
		h.Enter("a", "ann")
		h.Enter("a", "bob")
		h.Leave("a", "bob") // removed within grace
		h.expect(time.Second, "a 2 +ann +bob", "a +ann; a +bob")
		h.Remove("a", "ann", 1) // the other one stays
		h.expect(time.Second, "", "")
		h.Remove("a", "ann", 1)
		h.Remove("a", "bob", 0)
		h.Remove("a", "nobody", 1)
		h.expect(time.Second, "a 0 -ann -bob", "a -ann; a -bob")
		h.online("a", 10, 0)
		h.Enter("a", "bob") // back before the old grace ends
		h.expect(10*time.Second, "a 1 +bob", "a +bob")
		h.Leave("a", "bob")
		h.Remove("a", "bob", 0)
		h.expect(time.Minute, "a 0 -bob", "a -bob")
		h.remembersNothing()
	})
}

func TestCameAndWentWithinATick(t *testing.T) {
	inBubble(t, presence.Config{Grace: time.Second, Tick: 10 * time.Second}, func(h *harness) {
		h.Enter("a", "ann")
		h.Leave("a", "ann")
		h.expect(time.Minute, "", "")
		h.online("a", 10, 0)
	})
}

func TestLargeRoomsGetTheCount(t *testing.T) {
	inBubble(t, presence.Config{MaxNamed: 3}, func(h *harness) {
		h.expect(half, "", "")
		for _, u := range []chat.UserID{"a", "b", "c"} {
			h.Enter("r", u)
		}
		h.expect(time.Second, "r 3 +a +b +c", "r +a; r +b; r +c")
		h.Enter("r", "d")
		h.expect(time.Second, "r 4", "r +d")
		h.Leave("r", "a")
		h.expect(4*time.Second, "", "")
		h.Enter("r", "e") // one came as one went: the same count
		h.expect(time.Second, "r 5", "r +e")
		h.Leave("r", "b")
		h.expect(time.Second, "r 4", "r -a")
		h.expect(6*time.Second, "r 3 -b", "r -b")
	})
}

// Another node's users count too, and one who is still there has not gone.
func TestOtherNodes(t *testing.T) {
	inBubble(t, presence.Config{}, func(h *harness) {
		h.expect(half, "", "")
		h.driver.elsewhere = []chat.UserID{"bob"}
		h.Enter("a", "ann")
		h.Enter("a", "bob")
		h.online("a", 10, 2, "ann", "bob")
		h.expect(time.Second, "a 2 +ann +bob", "a +ann; a +bob")
		h.Leave("a", "ann")
		h.Leave("a", "bob")
		h.expect(6*time.Second, "a 1 -ann", "a -ann; a -bob")
		h.online("a", 10, 1, "bob")
		h.Enter("a", "cid")
		h.driver.set(true)
		h.expect(time.Second, "", "a +cid") // neither the driver nor the record answers: nothing is published
		h.driver.set(false)
		h.expect(time.Second, "", "")
		h.online("a", 10, 2, "bob", "cid")
	})
}

func TestDriverDown(t *testing.T) {
	inBubble(t, presence.Config{}, func(h *harness) {
		h.record.stored = "stored"
		h.expect(half, "", "")
		h.driver.set(true)
		h.Enter("a", "ann")
		h.online("a", 10, 2, "ann", "stored")
		h.expect(time.Second, "a 2 +ann", "a +ann") // persisted and published once, though the driver is down
		h.Enter("a", "bob")
		h.expect(time.Second, "a 3 +bob", "a +bob")
		h.online("a", 10, 3, "ann", "bob", "stored")
		h.driver.set(false)
		h.expect(time.Second, "", "")
		if users, n, _ := h.driver.Driver.Online(t.Context(), "a", 10); n != 2 {
			t.Fatal("the changes were not applied again:", users)
		}
		before := h.record.asked.Load()
		h.online("a", 10, 2, "ann", "bob")
		if h.record.asked.Load() != before {
			t.Fatal("asked the store while the driver works")
		}
	})
}

// With neither a driver nor a record that answers, the answer is an error.
func TestNoAnswer(t *testing.T) {
	inBubble(t, presence.Config{}, func(h *harness) {
		h.driver.set(true)
		if _, err := h.Online(t.Context(), "a", 10); chat.KindOf(err) != chat.Unavailable || h.record.asked.Load() != 1 {
			t.Fatal(err, h.record.asked.Load())
		}
		alone := presence.New(presence.Config{Driver: h.driver})
		defer alone.Close()
		if _, err := alone.Online(t.Context(), "a", 10); chat.KindOf(err) != chat.Unavailable {
			t.Fatal(err)
		}
	})
}

func TestCloseFlushes(t *testing.T) {
	inBubble(t, presence.Config{}, func(h *harness) {
		h.expect(half, "", "")
		h.Enter("a", "ann")
		h.Enter("a", "ann")
		h.Enter("a", "bob")
		h.expect(time.Second, "a 2 +ann +bob", "a +ann; a +bob")
		h.Leave("a", "bob")
		h.Enter("b", "new") // came and was never published
		h.Close()
		h.Close()
		h.expect(0, "", "a -ann; a -bob")
		h.Enter("a", "late")
		h.Leave("a", "ann")
		h.online("a", 10, 0)
		h.online("b", 10, 0)
	})
}

func TestConcurrentUse(t *testing.T) {
	tr := presence.New(presence.Config{Driver: mempresence.New(), Grace: time.Millisecond, Tick: time.Millisecond})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			room, me := chat.RoomID(fmt.Sprint("r", i%3)), chat.UserID(fmt.Sprint("u", i))
			for range 500 {
				tr.Enter(room, me)
				got, err := tr.Online(t.Context(), room, 100)
				if err != nil || got.Count != len(got.Users) || got.Degraded || !slices.Contains(got.Users, me) {
					t.Errorf("%s is not in %+v, %v", me, got, err)
				}
				tr.Leave(room, me)
			}
		})
	}
	wg.Wait()
	tr.Close()
	for i := range 3 {
		if got, err := tr.Online(t.Context(), chat.RoomID(fmt.Sprint("r", i)), 100); got.Count != 0 || err != nil {
			t.Error(got, err)
		}
	}
}
