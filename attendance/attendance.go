// Package attendance has the lanes of users know who is connected anywhere: a host that wants
// to hear when users come online and go offline is told so by them, once for the whole
// cluster (change.Connected).
//
// Each node tells who is connected to it, and takes users back whose last connection has
// ended a Grace ago. What a node that has ended cannot take back, others do: for each shard
// the owner of its lane, a Grace after the lease of the node has ended; and a node that has
// started again does so for what it has told before. A node that stops takes nothing back:
// its users come to another node, and are still online.
//
// The rows of users are there only while something is Wanted. Without it a node asks and
// writes nothing.
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
	Users  func() []chat.UserID                        // who is connected to this node (hub.Hub.Users)
	Wanted func() bool                                 // whether the host wants to be told
	Submit func(change.Change, change.Done)            // lane.Lanes.Submit
	Nodes  func(ctx context.Context) ([]string, error) // that are alive (cluster.Node.Nodes)
	Owns   func(shard int) bool                        // lane.Lanes.Owns

	Grace      time.Duration // for a user to come back in; default 15 s
	Log        *slog.Logger  // nil discards
	Registerer prometheus.Registerer
}

const (
	defaultGrace = 15 * time.Second
	tick         = time.Second     // between looks at who is connected
	lookEvery    = 5 * time.Second // for nodes that have ended
	mostFlying   = 256             // changes of a shard that have no outcome yet
)

// Book is what this node has told of its users. Open starts it, Close ends it.
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

// entry is a user who is connected here, or was told to be. Guarded by Book.mu.
type entry struct {
	told   bool      // the lane knows it
	busy   bool      // a change has no outcome yet
	leftAt time.Time // when the last connection was missed; zero: there is one
}

// Open begins to tell.
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
		Help: "Times a user who came online or went offline could not be noted, and is noted again.",
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

// Close ends it. Users of this node stay online until another node, or the next start of
// this one, finds that they have not come back.
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

// tell hands to the lanes what has changed.
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

// news is a change that is told, and the shard that it was counted for.
type news struct {
	change.Connected
	shard int
}

// news is what is to be told: who is here and the lane does not know, and who has been away
// for a Grace, or is not wanted any more.
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

// outcome notes what came of a change. What failed is told again with the next tick.
func (b *Book) outcome(n *news, err error) {
	if err != nil {
		b.failed.Inc()
		b.cfg.Log.Debug("attendance: a user who came or went is not noted yet", "err", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flying[n.shard]--
	e := b.users[n.User]
	e.busy = false
	if err == nil {
		e.told = n.On
	}
}

// tellAgain has everything told anew: other nodes may have taken it for that of a node that
// has ended.
func (b *Book) tellAgain() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.users {
		e.told = false
	}
}
