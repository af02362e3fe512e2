// Package attendance records in the shards of users at which nodes each user is connected.
// From these rows the lanes decide when a user comes online and goes offline, once for the
// whole cluster, which webhooks deliver to the host.
//
// Each node submits a change.Connected for a user whose first connection to it began, and
// the opposite one a Grace after the user's last connection has ended. A node that was
// killed leaves rows behind. For each shard the owner of its lane removes them, a Grace
// after the lease of that node has run out; a node that starts again removes its own. A node
// that shuts down leaves its rows: its users reconnect to another node and stay online.
//
// Rows exist only while Config.Wanted reports true. Otherwise a node reads and writes
// nothing.
package attendance

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Config is how a Book is made. Node, Store and the functions are required.
type Config struct {
	Node   string
	Store  *store.Store                                // is read; all writing goes through Submit
	Users  func() []chat.UserID                        // connected to this node (hub.Hub.Users)
	Wanted func() bool                                 // whether a webhook has these events
	Submit func(change.Change, change.Done)            // lane.Lanes.Submit
	Nodes  func(ctx context.Context) ([]string, error) // that are alive (cluster.Node.Nodes)
	Owns   func(shard int) bool                        // lane.Lanes.Owns

	Grace      time.Duration // in which a user may reconnect and was never offline; default 15 s
	Log        *slog.Logger  // nil discards
	Registerer prometheus.Registerer
}

const (
	defaultGrace = 15 * time.Second
	tick         = time.Second     // between comparisons with the hub's connections
	lookEvery    = 5 * time.Second // between readings of the nodes that are alive
	mostFlying   = 256             // changes of a shard without an outcome
)

// Book is this node's share of the record: what its lanes hold of its users, and what is
// still to be submitted. Two goroutines work on it from Open to Close.
type Book struct {
	// Set once.
	cfg     Config
	failed  prometheus.Counter
	stop    context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	users  map[chat.UserID]*entry // guarded by mu
	flying []int                  // guarded by mu: changes without an outcome, by shard

	watch watch // owned by the goroutine that sweeps
}

// entry is a user who is connected here, or whose row says so. Guarded by Book.mu.
type entry struct {
	told   bool      // the lane has committed that the user is connected here
	busy   bool      // a change has no outcome yet
	again  bool      // whatever comes of that change, the lane is to be told anew
	ending int       // changes of sweeps without an outcome, for which alone the entry is here; busy
	leftAt time.Time // when the last connection was missed; zero: there is one
}

// Open starts a Book.
func Open(cfg Config) *Book {
	if cfg.Grace == 0 {
		cfg.Grace = defaultGrace
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	shards := len(cfg.Store.Shards())
	b := &Book{cfg: cfg, users: map[chat.UserID]*entry{}, flying: make([]int, shards)}
	b.watch = watch{owned: make([]bool, shards), due: make([]time.Time, shards)}
	b.failed = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "roomtide", Subsystem: "attendance", Name: "failures_total",
		Help: "Changes of whether a user is connected that failed, and are submitted again.",
	})
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(b.failed)
	}
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.running.Go(func() { every(ctx, tick, func() { b.tell(time.Now()) }) })
	b.running.Go(func() { every(ctx, lookEvery, func() { b.look(ctx, time.Now()) }) })
	return b
}

// Close ends both goroutines. The rows of this node stay until another node, or the next
// start of this one, removes those whose users have not reconnected.
func (b *Book) Close() {
	b.stop()
	b.running.Wait()
}

// every calls f at intervals until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f()
		}
	}
}

// tell submits what has changed to the lanes.
func (b *Book) tell(now time.Time) {
	var here []chat.UserID
	wanted := b.cfg.Wanted()
	if wanted {
		here = b.cfg.Users()
	}
	for _, n := range b.news(here, wanted, now) {
		b.cfg.Submit(&n.Connected, func(_ change.Reply, err error) { b.outcome(n, err) })
	}
}

// news is a change to submit, and the shard in whose bound it counts.
type news struct {
	change.Connected
	shard int
}

// news returns what is to be submitted: users that are connected and not recorded, and
// recorded ones that have been away for a Grace or are not wanted any more.
func (b *Book) news(here []chat.UserID, wanted bool, now time.Time) (out []*news) {
	b.mu.Lock()
	defer b.mu.Unlock()
	add := func(user chat.UserID, e *entry, on bool) {
		shard := b.cfg.Store.ShardOf(user.Slot())
		if !e.busy && b.flying[shard] < mostFlying {
			e.busy = true
			b.flying[shard]++
			out = append(out, &news{change.Connected{User: user, Node: b.cfg.Node, On: on}, shard})
		}
	}
	present := make(map[chat.UserID]bool, len(here))
	for _, user := range here {
		present[user] = true
		e := b.users[user]
		if e == nil {
			e = &entry{}
			b.users[user] = e
		}
		if e.leftAt = (time.Time{}); !e.told {
			add(user, e, true)
		}
	}
	for user, e := range b.users {
		switch {
		case present[user]:
		case !e.told && !e.busy:
			delete(b.users, user)
		case e.leftAt.IsZero() && wanted:
			e.leftAt = now
		case e.told && (!wanted || now.Sub(e.leftAt) >= b.cfg.Grace):
			add(user, e, false)
		}
	}
	return out
}

// outcome notes the outcome of a change. One that failed is submitted again with the next
// tick.
func (b *Book) outcome(n *news, err error) {
	if err != nil {
		b.failed.Inc()
		b.cfg.Log.Debug("attendance: a connected user is not recorded yet", "err", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flying[n.shard]--
	e := b.users[n.User]
	e.busy = false
	if err == nil {
		e.told = n.On && !e.again
	}
	e.again = false
}

// tellAgain has everything submitted anew: other nodes may have removed the rows of this
// node, having taken it for dead. That includes the row of a change without an outcome: it
// may have been committed and removed.
func (b *Book) tellAgain() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.users {
		e.told, e.again = false, e.busy
	}
}
