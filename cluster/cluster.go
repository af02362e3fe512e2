// Package cluster says which node this is, and which nodes are alive.
//
// A node is one running Roomtide process with a name of its own. It holds a lease
// in the control database and renews it every third of its life: a node whose
// lease has run out has ended, or is cut off, and what it has said of itself (such
// as who is online through it) does not count any more. Leases say which nodes are
// there and nothing else; they keep no second owner from a lane, which the
// position in the lane's own transactions does.
package cluster

import (
	"context"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
)

const (
	defaultLife = 30 * time.Second
	renewals    = 3 // in a life, so that two may fail

	// MaxName is how many bytes the name of a node has at most.
	MaxName = 63
)

// CheckName reports, as Invalid, why the name cannot be a node's. Names go into
// keys and subjects of other services, so they have only letters and digits of
// ASCII, and - and _ behind the first.
func CheckName(name string) error {
	if name == "" || len(name) > MaxName {
		return chat.E(chat.Invalid, "a node's name has 1 to 63 characters")
	}
	letter := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	for i, r := range name {
		if !letter(r) && (i == 0 || !strings.ContainsRune("-_", r)) {
			return chat.E(chat.Invalid, "a node's name has letters, digits, - and _ only, and begins with a letter or digit")
		}
	}
	return nil
}

// Leases is where nodes keep their leases (store.Control).
type Leases interface {
	// Renew says that the node is alive until the given time, in Unix milliseconds.
	Renew(ctx context.Context, node string, until int64) error

	// Nodes returns the nodes whose lease ends after now, in Unix milliseconds.
	Nodes(ctx context.Context, now int64) ([]string, error)
}

// Info is a node, as others see it.
type Info struct {
	Name  string   `json:"name"`
	This  bool     `json:"this,omitempty"` // the one that was asked
	Alive bool     `json:"alive"`
	Lanes []string `json:"lanes"` // names of the shards whose lanes it owns

	Version string `json:"version,omitempty"` // of its program; empty: not known here
}

// Config is how a Node is made.
type Config struct {
	Name   string // see CheckName
	Leases Leases // required

	Life       time.Duration         // of a lease; 0: 30 s
	Now        func() time.Time      // nil: time.Now. All nodes must agree on it to well within Life
	Log        *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil registers nothing
}

// Node is this node in its cluster. Safe for concurrent use.
type Node struct {
	// Set once.
	cfg      Config
	failures prometheus.Counter
	stop     context.CancelFunc

	renewing sync.WaitGroup

	seen atomic.Pointer[seen] // nil: not yet

	mu   sync.Mutex
	gone map[string]time.Time // guarded by mu: until when Working does not count a node

	// Owned by run.
	failing bool // the last renewal failed
}

// Join takes part in the cluster: it begins to hold a lease under the name, in the
// background, since a node serves its clients also while the control database does
// not answer. Close ends that.
func Join(cfg Config) (*Node, error) {
	if err := CheckName(cfg.Name); err != nil {
		return nil, err
	}
	if cfg.Life <= 0 {
		cfg.Life = defaultLife
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	n := &Node{cfg: cfg, gone: map[string]time.Time{}, failures: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "roomtide_cluster_lease_failures_total", Help: "Times this node's lease could not be renewed.",
	})}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(n.failures)
	}
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	n.renewing.Go(func() { n.run(ctx) })
	return n, nil
}

// Name is this node's name.
func (n *Node) Name() string { return n.cfg.Name }

// Nodes returns the names of the nodes that are alive, this one included while it
// can renew its lease.
func (n *Node) Nodes(ctx context.Context) ([]string, error) {
	return n.cfg.Leases.Nodes(ctx, n.cfg.Now().UnixMilli())
}

// seen is which nodes were alive at a time.
type seen struct {
	nodes []string
	at    time.Time
}

// Alive is how many nodes were alive at the last renewal, this one included.
func (n *Node) Alive() int {
	if s := n.seen.Load(); s != nil {
		return max(1, len(s.nodes))
	}
	return 1
}

// Working is how many nodes share the lanes, this one included: those of Alive without the
// ones that are Gone.
func (n *Node) Working() int {
	s := n.seen.Load()
	if s == nil {
		return 1
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	working := len(s.nodes)
	for _, name := range s.nodes {
		if n.cfg.Now().Before(n.gone[name]) {
			working--
		}
	}
	return max(1, working)
}

// Gone notes that another node has ended before its lease of a node tells so: it said that
// it stops, or a lease of a lane that it held has run out. Working counts it no more until
// its lease would have run out, and again then if it has been renewed.
func (n *Node) Gone(name string) {
	now := n.cfg.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	maps.DeleteFunc(n.gone, func(_ string, until time.Time) bool { return !now.Before(until) })
	if name != n.cfg.Name {
		n.gone[name] = now.Add(n.cfg.Life)
	}
}

// Seen is Nodes as of the last renewal, a third of a life ago at most, or as of now if
// that has failed. The caller does not change it.
func (n *Node) Seen(ctx context.Context) ([]string, error) {
	if s := n.seen.Load(); s != nil && n.cfg.Now().Sub(s.at) < 2*n.every() {
		return s.nodes, nil
	}
	return n.Nodes(ctx)
}

// every is the time between two renewals.
func (n *Node) every() time.Duration { return n.cfg.Life / renewals }

// Leave ends the lease at once, for other nodes to know. It comes behind Close.
func (n *Node) Leave(ctx context.Context) error {
	return n.cfg.Leases.Renew(ctx, n.cfg.Name, n.cfg.Now().UnixMilli()-1)
}

// Close ends the renewing and returns when it has ended. The lease runs out by
// itself. Close may be called again.
func (n *Node) Close() {
	n.stop()
	n.renewing.Wait()
}

// run renews the lease until ctx ends.
func (n *Node) run(ctx context.Context) {
	tick := time.NewTicker(n.every())
	defer tick.Stop()
	for {
		n.renew(ctx, n.every())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// renew renews the lease once, in no more than limit.
func (n *Node) renew(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := n.cfg.Leases.Renew(ctx, n.cfg.Name, n.cfg.Now().Add(n.cfg.Life).UnixMilli())
	switch {
	case err != nil && ctx.Err() == context.Canceled:
		return // Close interrupted it
	case err != nil:
		n.failures.Inc()
		n.cfg.Log.Warn("cannot renew this node's lease", "node", n.cfg.Name, "err", err)
	case n.failing:
		n.cfg.Log.Info("this node's lease is renewed again", "node", n.cfg.Name)
	}
	n.failing = err != nil
	if err == nil {
		n.count(ctx)
	}
}

// count notes how many nodes are alive.
func (n *Node) count(ctx context.Context) {
	now := n.cfg.Now()
	nodes, err := n.Nodes(ctx)
	if err != nil {
		n.cfg.Log.Debug("cannot see which nodes are alive", "err", err)
		return
	}
	n.seen.Store(&seen{nodes, now})
}
