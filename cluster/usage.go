package cluster

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/limit"
)

const (
	usageEvery = 250 * time.Millisecond // what was spent is told
	connsEvery = 4                      // times of it that connections are told once

	// usageBytes is how much one message holds, well below what NATS takes.
	usageBytes = 256 << 10
)

// UsageConfig is how a Usage is made. All fields but Registerer are required.
type UsageConfig struct {
	NATS   *nats.Conn
	Prefix string // of all subjects
	Node   string

	Spent  func() limit.Spent          // what was spent of rates here since the last call
	Charge func(spent limit.Spent)     // what was spent on another node
	Conns  func() map[netip.Prefix]int // networks with many connections here
	Hear   func(node string, conns map[netip.Prefix]int)

	Log        *slog.Logger
	Registerer prometheus.Registerer // nil registers nothing
}

// Usage tells other nodes what clients have used of their limits here, and hears it from
// them, so that limits hold over all nodes. It costs a few messages a second and node, and
// nothing a request. What is lost on the way is not made up for: the limits are higher by
// that.
type Usage struct {
	// Set once.
	cfg    UsageConfig
	unsent prometheus.Counter
	sub    *nats.Subscription
	stop   context.CancelFunc

	telling sync.WaitGroup

	// Owned by run.
	told bool // connections were told the last time
}

// usage is what one message holds. Programs that do not know a field pass over it.
type usage struct {
	Node  string               `json:"node"`
	Spent limit.Spent          `json:"spent,omitempty"`
	Conns map[netip.Prefix]int `json:"conns,omitempty"`
	All   bool                 `json:"all,omitempty"` // Conns are all there are
}

// OpenUsage begins to tell and to hear.
func OpenUsage(cfg UsageConfig) (u *Usage, err error) {
	u = &Usage{cfg: cfg, unsent: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "roomtide_usage_unsent_total", Help: "Messages about what clients have used of their limits here that reached no other node.",
	})}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(u.unsent)
	}
	if u.sub, err = cfg.NATS.Subscribe(u.subject(), func(m *nats.Msg) { u.heard(m.Data) }); err != nil {
		return nil, chat.Wrap(chat.Unavailable, "cluster.usage", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	u.stop = stop
	u.telling.Go(func() { u.run(ctx) })
	return u, nil
}

func (u *Usage) subject() string { return u.cfg.Prefix + ".usage" }

func (u *Usage) heard(data []byte) {
	var got usage
	if err := json.Unmarshal(data, &got); err != nil {
		u.cfg.Log.Warn("what another node tells of limits cannot be read", "err", err)
		return
	}
	if got.Node == u.cfg.Node {
		return
	}
	u.cfg.Charge(got.Spent)
	if got.All {
		u.cfg.Hear(got.Node, got.Conns)
	}
}

// run tells until ctx ends.
func (u *Usage) run(ctx context.Context) {
	tick := time.NewTicker(usageEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		u.tellSpent(u.cfg.Spent())
		if n%connsEvery == 0 {
			u.tellConns(u.cfg.Conns())
		}
	}
}

// tellSpent tells what was spent, in as many messages as it needs.
func (u *Usage) tellSpent(spent limit.Spent) {
	part, bytes := limit.Spent{}, 0
	for name, keys := range spent {
		for key, n := range keys {
			if part[name] == nil {
				part[name] = map[string]int{}
			}
			part[name][key] = n
			if bytes += len(key) + 16; bytes >= usageBytes {
				u.tell(&usage{Spent: part})
				part, bytes = limit.Spent{}, 0
			}
		}
	}
	if bytes > 0 {
		u.tell(&usage{Spent: part})
	}
}

// tellConns tells the networks with many connections, and once that there are none any more.
func (u *Usage) tellConns(conns map[netip.Prefix]int) {
	if len(conns) > 0 || u.told {
		u.tell(&usage{Conns: conns, All: true})
	}
	u.told = len(conns) > 0
}

func (u *Usage) tell(m *usage) {
	m.Node = u.cfg.Node
	data, err := json.Marshal(m)
	if err == nil {
		err = u.cfg.NATS.Publish(u.subject(), data)
	}
	if err != nil {
		u.unsent.Inc()
		u.cfg.Log.Debug("what was used of limits here did not reach other nodes", "err", err)
	}
}

// Close ends telling and hearing. It may be called for nil.
func (u *Usage) Close() {
	if u == nil {
		return
	}
	u.stop()
	u.telling.Wait()
	if err := u.sub.Unsubscribe(); err != nil {
		u.cfg.Log.Debug("cluster: what is used of limits", "err", err)
	}
}
