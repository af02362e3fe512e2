package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testlanes"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room is in the one shard that most tests look at.
const room chat.RoomID = "r"

// world is lanes over real databases, and an outbox beside them.
type world struct {
	t      *testing.T
	dir    string
	shards int
	store  *store.Store
	lanes  *lane.Lanes
	outbox *outbox.Outbox
	reg    *prometheus.Registry
	sent   int
	fate   func(context.Context, string) outbox.Fate
}

func newWorld(t *testing.T, shards int) *world {
	return &world{t: t, dir: t.TempDir(), shards: shards}
}

// start starts a node with these consumers.
func (w *world) start(consumers ...outbox.Consumer) {
	w.t.Helper()
	w.reg = prometheus.NewRegistry()
	w.store, w.lanes = testlanes.Open(w.t, w.dir, w.shards)
	var err error
	w.outbox, err = outbox.Open(w.t.Context(), outbox.Config{
		Store: w.store, Lanes: w.lanes, Consumers: consumers, Fate: w.fate, Registerer: w.reg,
		MinBackoff: time.Millisecond, MaxBackoff: 4 * time.Millisecond,
	})
	w.must(err)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// stop ends the node in good order.
func (w *world) stop() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	w.outbox.Close(ctx)
	w.must(ctx.Err())
	w.lanes.Close()
	w.must(w.store.Close())
}

// crash ends the node without a last word of the outbox.
func (w *world) crash() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.outbox.Close(ctx)
	w.lanes.Close()
	w.must(w.store.Close())
}

// write makes n commits in the room, each with an entry.
func (w *world) write(n int) {
	w.t.Helper()
	for range n {
		w.sent++
		title := fmt.Sprint("title ", w.sent)
		_, err := w.lanes.Do(w.t.Context(), &change.SetRoom{Room: room, Server: true, Title: &title, Create: &change.RoomSpec{}})
		w.must(err)
	}
}

// kept is the number of entries in the outbox of the room's shard.
func (w *world) kept() int {
	w.t.Helper()
	es, err := w.store.Room(room).Outbox(w.t.Context(), 0, 0, 100_000)
	w.must(err)
	return len(es)
}

// cursors are those of the room's shard.
func (w *world) cursors() map[string]int64 {
	w.t.Helper()
	cs, err := w.store.Room(room).Cursors(w.t.Context(), 0)
	w.must(err)
	m := map[string]int64{}
	for _, c := range cs {
		m[c.Consumer] = c.Position
	}
	return m
}

// metric returns the value of a metric for a consumer in the room's shard.
func (w *world) metric(name, consumer string) float64 {
	w.t.Helper()
	families, err := w.reg.Gather()
	w.must(err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == consumer &&
				m.GetLabel()[1].GetValue() == w.store.Room(room).Name() {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	w.t.Fatalf("there is no %s of %s", name, consumer)
	return 0
}

// recorder is a consumer that remembers what it has got.
type recorder struct {
	name  string
	start outbox.Start

	mu     sync.Mutex
	got    map[int][]int64 // positions by shard
	hold   chan struct{}   // nil: entries are taken at once; else each call waits for it to be closed
	fail   func(position int64) error
	change chan struct{} // cap 1: something was got
}

func newRecorder(name string, start outbox.Start) *recorder {
	return &recorder{name: name, start: start, got: map[int][]int64{}, change: make(chan struct{}, 1)}
}

func (r *recorder) consumer() outbox.Consumer {
	return outbox.Consumer{Name: r.name, Start: r.start, Consume: r.consume}
}

var errGaveUp = errors.New("gave up")

func (r *recorder) consume(ctx context.Context, shard int, e *store.Entry) error {
	r.mu.Lock()
	hold, fail := r.hold, r.fail
	r.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return errGaveUp
		}
	}
	if fail != nil {
		if err := fail(e.Position); err != nil {
			return err
		}
	}
	r.mu.Lock()
	r.got[shard] = append(r.got[shard], e.Position)
	r.mu.Unlock()
	select {
	case r.change <- struct{}{}:
	default:
	}
	return nil
}

// positions is what came of a shard.
func (r *recorder) positions(shard int) []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got[shard])
}

// wait returns the positions of a shard when there are n.
func (r *recorder) wait(t *testing.T, shard, n int) []int64 {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		got := r.positions(shard)
		if len(got) >= n {
			return got
		}
		select {
		case <-r.change:
		case <-timeout:
			t.Fatalf("%s got %d entries, want %d", r.name, len(got), n)
		}
	}
}
