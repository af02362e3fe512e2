// Package outbox runs the consumers of what lanes committed: work that follows a
// commit and must not hold it up, such as the room lists of users, push
// notifications, webhooks or copying rooms to another shard.
//
// Every commit that has something to tell leaves an entry (store.Entry) in the same
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
// A consumer is registered by being in Config, or later by Add. A new one starts where it
// says; its cursor is written before anything is trimmed. One that is no longer registered
// keeps its cursor, in case the program that knows it comes back, and so keeps
// entries, until Drop or Remove, or until Config.Fate says so.
package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
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
	FromNow                 // with the first commit after its registration in the shard
)

// Consumer works on entries.
type Consumer struct {
	// Name names the cursor: it stays the same as long as the consumer's work does.
	Name  string
	Start Start

	// StartAt takes the place of Start: it returns the position behind which a consumer
	// without a cursor starts in the shard.
	StartAt func(ctx context.Context, shard int) (int64, error)

	// Consume works on one entry of the shard. After an error the same entry comes
	// again, after a pause that grows. Calls for one shard do not overlap; those for
	// several do. It returns soon after ctx has ended. Nothing in the entry is written to:
	// other consumers read it too.
	Consume func(ctx context.Context, shard int, e *store.Entry) error

	// Parts takes the place of Consume where parts of an entry need different databases:
	// it divides the work by target. Each target does its parts in the order of entries;
	// one that fails or hangs holds up no other. Parts itself may need the entry's shard,
	// and nothing else; after an error the same entry comes again.
	// After Later the entry comes again when it says, which is no failure.
	Parts func(ctx context.Context, shard int, e *store.Entry) ([]Part, error)

	// Together, if it is set beside Parts, takes the place of Part.Do: it gets parts of one target that
	// wait, in their order, at least one. It returns how many of the first are done; the others
	// come again, after a pause if there is an error. It returns soon after ctx has ended.
	Together func(ctx context.Context, shard int, parts []Part) (done int, err error)

	MaxBackoff time.Duration // the longest pause after an error; 0: that of Config
	Quiet      bool          // logs failures of its parts itself
	Trails     bool          // is behind because it is to be: no lag is told
	Leaves     bool          // does not work on what is there when it is ended
	Prompt     bool          // its cursor is saved about a second after parts were done, whatever their number
}

// Fate is what becomes of a cursor whose consumer is not registered.
type Fate int

const (
	Unknown Fate = iota // it stays, with a warning
	Comes               // its consumer will be added
	Gone                // it is dropped: its consumer will not come back
)

// Later is the error of Parts for an entry that comes too soon, and of a part that does.
type Later struct{ After time.Duration }

func (Later) Error() string { return "the entry comes too soon" }

// Part is what one target has to do for an entry.
type Part struct {
	Target   int   // such as the shard that it needs
	Size     int   // about how many bytes it holds
	Position int64 // of the entry; set by this package
	Work     any   // for Together

	// Do is called until it succeeds, and again after a restart. It returns soon after ctx
	// has ended.
	Do func(ctx context.Context) error
}

// Lanes is what the outbox needs of lane.Lanes, where the methods are specified.
type Lanes interface {
	Notify(shard int, c chan<- struct{})
	Forget(shard int, c chan<- struct{})
	Position(shard int) int64
	Recent(shard int, after int64, limit int) ([]store.Entry, bool)
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

	// Fate says of a consumer that is not registered what becomes of its cursor where a
	// shard is started. nil: nothing is known of any.
	Fate func(ctx context.Context, consumer string) Fate

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
	if c.Fate == nil {
		c.Fate = func(context.Context, string) Fate { return Unknown }
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
	shards map[int][]*worker // of those that are started
	closed bool
	added  []Consumer // those of Add
}

// Open registers the consumers and starts them. It fails if a cursor cannot be
// read, or that of a new consumer not be written.
func Open(ctx context.Context, cfg Config) (*Outbox, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	o := &Outbox{cfg: cfg, metrics: newMetrics(cfg.Registerer), shards: map[int][]*worker{}}
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

// Lag is how many commits of the shard the consumer that is furthest behind has still
// to work on.
func (o *Outbox) Lag(shard int) int64 {
	lag := int64(0)
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, w := range o.shards[shard] {
		if !w.Trails {
			lag = max(lag, w.lag())
		}
	}
	return lag
}

// each calls f with every worker.
func (o *Outbox) each(f func(*worker)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, workers := range o.shards {
		for _, w := range workers {
			f(w)
		}
	}
}

// Drop forgets a consumer that is not registered any more: its cursors are deleted,
// and with them what was kept for it alone. Conflict if it is registered.
func (o *Outbox) Drop(ctx context.Context, consumer string) error {
	o.mu.Lock()
	registered := slices.ContainsFunc(o.consumers(), func(k Consumer) bool { return k.Name == consumer })
	o.mu.Unlock()
	if registered {
		return chat.E(chat.Conflict, fmt.Sprintf("the consumer %q is registered", consumer))
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
	workers := slices.Concat(slices.Collect(maps.Values(o.shards))...)
	o.mu.Unlock()
	if ctx.Err() != nil {
		o.giveUp()
	}
	defer context.AfterFunc(ctx, o.giveUp)()
	if len(workers) > 0 {
		o.cfg.Lanes.Flush(ctx)
	}
	for _, w := range workers {
		w.stop()
	}
	for _, w := range workers {
		w.end()
	}
	o.giveUp()
}
