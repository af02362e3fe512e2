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
//     order of their commits; shards do not wait for each other. A consumer that
//     divides its work by target (Consumer.Parts) has this order in each of them, and
//     they do not wait for each other either, until 4 MiB wait for one that fails.
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
	"maps"
	"slices"
	"strings"
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

	// Parts takes the place of Consume where parts of an entry need different databases:
	// it divides the work by target. Each target does its parts in the order of entries;
	// one that fails or hangs holds up no other. Parts itself may need the entry's shard,
	// and nothing else; after an error the same entry comes again.
	Parts func(ctx context.Context, shard int, e *store.Entry) ([]Part, error)
}

// Part is what one target has to do for an entry.
type Part struct {
	Target int // such as the shard that it needs
	Size   int // about how many bytes it holds

	// Do is called until it succeeds, and again after a restart. It returns soon after ctx
	// has ended.
	Do func(ctx context.Context) error
}

// Lanes is what the outbox needs of lane.Lanes, where the methods are specified.
type Lanes interface {
	Notify(shard int, c chan<- struct{})
	Forget(shard int, c chan<- struct{})
	Position(shard int) int64
	SaveCursors(ctx context.Context, shard int, cursors ...store.Cursor) error
	Flush(ctx context.Context)
}

// Config configures an Outbox. Store and Lanes are required.
type Config struct {
	Store     *store.Store
	Lanes     Lanes
	Consumers []Consumer
	Apart     []string // names of cursors that are moved elsewhere, and not by this package; or what they begin with, up to a colon
	Stopped   bool     // Open starts nothing: Start does, for the lanes that this node owns

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
	metrics *metrics
	ctx     context.Context // ends when consumers have to give up
	giveUp  context.CancelFunc
	stop    sync.Once

	mu sync.Mutex

	// Guarded by mu.
	shards map[int]*crew // those that are started
	closed bool
}

// crew is the workers of one shard.
type crew struct {
	workers  []*worker
	giveUp   context.CancelFunc // ends what the workers do
	stopping chan struct{}      // closed by stop: workers do what is there, and end
	stop     sync.Once
	working  sync.WaitGroup
}

// Open registers the consumers and starts them. It fails if a cursor cannot be
// read, or that of a new consumer not be written.
func Open(ctx context.Context, cfg Config) (*Outbox, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	o := &Outbox{cfg: cfg, metrics: newMetrics(cfg.Registerer), shards: map[int]*crew{}}
	o.ctx, o.giveUp = context.WithCancel(context.Background())
	o.metrics.watch(o)
	if cfg.Stopped {
		return o, nil
	}
	for shard := range cfg.Store.Shards() {
		if err := o.Start(ctx, shard); err != nil {
			o.halt()
			return nil, err
		}
	}
	return o, nil
}

// Start registers the consumers in a shard whose lane this node owns, and starts them.
// A shard that is started stays as it is. Calls for one shard do not overlap.
func (o *Outbox) Start(ctx context.Context, shard int) error {
	o.mu.Lock()
	started := o.closed || o.shards[shard] != nil
	o.mu.Unlock()
	if started {
		return nil
	}
	c := &crew{stopping: make(chan struct{})}
	if err := o.register(ctx, shard, c); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil
	}
	ctx, c.giveUp = context.WithCancel(o.ctx)
	o.shards[shard] = c
	for _, w := range c.workers {
		o.cfg.Lanes.Notify(w.shard, w.wake)
		c.working.Go(func() { w.run(ctx, c.stopping) })
	}
	return nil
}

// Stop ends the consumers of a shard whose lane this node does not own any more. They go
// on where the lane is owned, from the cursors that were saved.
func (o *Outbox) Stop(shard int) {
	o.mu.Lock()
	c := o.shards[shard]
	delete(o.shards, shard)
	o.mu.Unlock()
	if c == nil {
		return
	}
	c.giveUp()
	c.end()
	for _, w := range c.workers {
		o.cfg.Lanes.Forget(shard, w.wake)
	}
}

// end has the workers end, and returns when they have. It may be called again.
func (c *crew) end() {
	c.stop.Do(func() { close(c.stopping) })
	c.working.Wait()
	c.giveUp()
}

// halt ends everything without another attempt.
func (o *Outbox) halt() {
	o.giveUp()
	for shard := range o.cfg.Store.Shards() {
		o.Stop(shard)
	}
}

// register makes the workers of a shard. Cursors of new consumers are written
// before any worker runs, and all in one commit: each commit of a cursor trims what
// all cursors have passed, and must not miss one.
func (o *Outbox) register(ctx context.Context, shard int, c *crew) error {
	reader := &o.cfg.Store.Shards()[shard].Reader
	cursors, err := reader.Cursors(ctx, theLane)
	if err != nil {
		return err
	}
	stored := make(map[string]int64, len(cursors))
	for _, cursor := range cursors {
		stored[cursor.Consumer] = cursor.Position
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
		c.workers = append(c.workers, newWorker(o, k, shard, reader, at, o.metrics))
	}
	for name, at := range stored {
		if slices.ContainsFunc(o.cfg.Apart, func(apart string) bool {
			return name == apart || strings.HasSuffix(apart, ":") && strings.HasPrefix(name, apart)
		}) {
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
	o.mu.Lock()
	defer o.mu.Unlock()
	if c := o.shards[shard]; c != nil {
		for _, w := range c.workers {
			lag = max(lag, w.lag())
		}
	}
	return lag
}

// each calls f with every worker.
func (o *Outbox) each(f func(*worker)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.shards {
		for _, w := range c.workers {
			f(w)
		}
	}
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
func (o *Outbox) Close(ctx context.Context) { o.stop.Do(func() { o.close(ctx) }) }

func (o *Outbox) close(ctx context.Context) {
	o.mu.Lock()
	o.closed = true
	crews := slices.Collect(maps.Values(o.shards))
	o.mu.Unlock()
	if ctx.Err() != nil {
		o.giveUp()
	}
	defer context.AfterFunc(ctx, o.giveUp)()
	if len(crews) > 0 {
		o.cfg.Lanes.Flush(ctx)
	}
	for _, c := range crews {
		c.stop.Do(func() { close(c.stopping) })
	}
	for _, c := range crews {
		c.end()
	}
	o.giveUp()
}
