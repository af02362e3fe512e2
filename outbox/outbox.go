// Package outbox runs the consumers of what lanes committed: work that follows a
// commit and must not hold it up, such as the room lists of users, push
// notifications, webhooks or copying rooms to another shard.
//
// Every commit that changes a room leaves an entry (store.Entry) in the same
// transaction. A consumer has a name, and under that name a cursor in each shard
// that says how far it has worked. What it may rely on:
//
//   - At least once. Every entry after its start is delivered, whatever crashes.
//     The cursor is saved now and then, so that entries are delivered again after
//     a crash; an entry is also delivered again when the consumer has failed on it.
//   - In order per lane. The entries of a shard come one after the other, in the
//     order of their commits; shards do not wait for each other.
//   - By itself. A consumer that is slow or fails delays no other and no lane.
//     Its lag grows, and entries are kept until every cursor has passed them.
//
// A consumer is registered by being in Config. A new one starts where it says; its
// cursor is written before anything is trimmed. One that is no longer registered
// keeps its cursor, in case the program that knows it comes back, and so keeps
// entries, until Drop.
package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Start says where a consumer without a cursor starts.
type Start int

const (
	FromOldest Start = iota // with the oldest entry that is kept
	FromNow                 // with the first commit after Open
)

// Consumer works on entries.
type Consumer struct {
	// Name names the cursor: it stays the same as long as the consumer's work does.
	Name  string
	Start Start

	// Consume works on one entry of the shard. After an error the same entry comes
	// again, after a pause that grows. Calls for one shard do not overlap; those for
	// several do. It returns soon after ctx has ended.
	Consume func(ctx context.Context, shard int, e *store.Entry) error
}

// Lanes is what the outbox needs of lane.Lanes, where the methods are specified.
type Lanes interface {
	Notify(shard int, c chan<- struct{})
	Position(shard int) int64
	SaveCursors(ctx context.Context, shard int, cursors ...store.Cursor) error
	Flush(ctx context.Context)
}

// Config configures an Outbox. Store and Lanes are required.
type Config struct {
	Store     *store.Store
	Lanes     Lanes
	Consumers []Consumer
	Apart     []string // names of cursors that are moved elsewhere, and not by this package

	MinBackoff time.Duration // the first pause after an error; default 250 ms
	MaxBackoff time.Duration // the longest; default one minute
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

func (c *Config) fill() error {
	if c.MinBackoff == 0 {
		c.MinBackoff = 250 * time.Millisecond
	}
	if c.MaxBackoff == 0 {
		c.MaxBackoff = time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	names := map[string]bool{}
	for _, k := range c.Consumers {
		if k.Name == "" || names[k.Name] {
			return chat.E(chat.Invalid, fmt.Sprintf("a consumer of the outbox needs a name of its own, %q is not", k.Name))
		}
		names[k.Name] = true
	}
	return nil
}

// Outbox runs consumers beside the lanes of this process.
type Outbox struct {
	// Set once.
	cfg     Config
	workers []*worker
	ctx     context.Context // ends when consumers have to give up
	giveUp  context.CancelFunc

	stopping chan struct{} // closed by Close: workers do what is there, and end
	stop     sync.Once
	working  sync.WaitGroup
}

// Open registers the consumers and starts them. It fails if a cursor cannot be
// read, or that of a new consumer not be written.
func Open(ctx context.Context, cfg Config) (*Outbox, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	o := &Outbox{cfg: cfg, stopping: make(chan struct{})}
	o.ctx, o.giveUp = context.WithCancel(context.Background())
	m := newMetrics(cfg.Registerer)
	for shard := range cfg.Store.Shards() {
		if err := o.register(ctx, shard, m); err != nil {
			o.giveUp()
			return nil, err
		}
	}
	m.watch(o.workers)
	for _, w := range o.workers {
		cfg.Lanes.Notify(w.shard, w.wake)
		o.working.Go(func() { w.run(o.ctx, o.stopping) })
	}
	return o, nil
}

// register makes the workers of a shard. Cursors of new consumers are written
// before any worker runs, and all in one commit: each commit of a cursor trims what
// all cursors have passed, and must not miss one.
func (o *Outbox) register(ctx context.Context, shard int, m *metrics) error {
	reader := &o.cfg.Store.Shards()[shard].Reader
	cursors, err := reader.Cursors(ctx, theLane)
	if err != nil {
		return err
	}
	stored := make(map[string]int64, len(cursors))
	for _, c := range cursors {
		stored[c.Consumer] = c.Position
	}
	var fresh []store.Cursor
	for _, k := range o.cfg.Consumers {
		at, known := stored[k.Name]
		delete(stored, k.Name)
		if !known {
			if k.Start == FromNow {
				at = o.cfg.Lanes.Position(shard)
			}
			fresh = append(fresh, store.Cursor{Consumer: k.Name, Position: at})
		}
		o.workers = append(o.workers, newWorker(o, k, shard, reader, at, m))
	}
	for name, at := range stored {
		if slices.Contains(o.cfg.Apart, name) {
			continue
		}
		o.cfg.Log.Warn("a consumer that is not registered keeps entries of the outbox",
			"consumer", name, "shard", reader.Name(), "position", at)
	}
	if len(fresh) == 0 {
		return nil
	}
	return o.cfg.Lanes.SaveCursors(ctx, shard, fresh...)
}

// Lag is how many commits of the shard the consumer that is furthest behind has still
// to work on.
func (o *Outbox) Lag(shard int) int64 {
	lag := int64(0)
	for _, w := range o.workers {
		if w.shard == shard {
			lag = max(lag, w.lag())
		}
	}
	return lag
}

// Drop forgets a consumer that is not registered any more: its cursors are deleted,
// and with them what was kept for it alone. Conflict if it is registered.
func (o *Outbox) Drop(ctx context.Context, consumer string) error {
	for _, k := range o.cfg.Consumers {
		if k.Name == consumer {
			return chat.E(chat.Conflict, fmt.Sprintf("the consumer %q is registered", consumer))
		}
	}
	for shard := range o.cfg.Store.Shards() {
		if err := o.cfg.Lanes.SaveCursors(ctx, shard, store.Cursor{Consumer: consumer, Drop: true}); err != nil {
			return err
		}
	}
	return nil
}

// Close lets the consumers work on everything that was submitted to the lanes
// before, as far as ctx allows, saves their cursors, and returns when all
// goroutines have ended. It comes before Lanes.Close, and may be called again.
func (o *Outbox) Close(ctx context.Context) {
	o.stop.Do(func() {
		if ctx.Err() != nil {
			o.giveUp()
		}
		defer context.AfterFunc(ctx, o.giveUp)()
		o.cfg.Lanes.Flush(ctx)
		close(o.stopping)
		o.working.Wait()
		o.giveUp()
	})
}
