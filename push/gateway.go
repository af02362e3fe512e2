package push

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
)

// Config configures a Gateway.
type Config struct {
	Providers []Provider // each with a name of its own

	Concurrent int           // attempts of one provider at a time; default 128
	Timeout    time.Duration // of one attempt; default 10 s

	Now        func() time.Time // default time.Now
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

func (c *Config) fill() {
	if c.Concurrent == 0 {
		c.Concurrent = 128
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// Gateway sends through providers, and knows how their services are. Safe for concurrent use.
type Gateway struct {
	// Set once.
	cfg     Config
	lines   map[string]*line
	metrics *metrics
}

// line is what the gateway keeps of a provider.
type line struct {
	// Set once.
	provider Provider
	permits  chan struct{} // an attempt holds one

	mu sync.Mutex

	// Guarded by mu.
	services map[string]*service // bounded by maxServices, and by the callers of Send
	running  int                 // attempts
	heard    time.Time           // when one began or ended last
}

// maxServices bounds what is remembered of services: those of Web Push are named by
// clients. One that is well and idle is forgotten without loss.
const maxServices = 1024

// NewGateway returns a Gateway. It owns the providers from now on.
func NewGateway(cfg Config) (*Gateway, error) {
	cfg.fill()
	g := &Gateway{cfg: cfg, lines: map[string]*line{}}
	for _, p := range cfg.Providers {
		if g.lines[p.Name()] != nil {
			return nil, chat.E(chat.Invalid, fmt.Sprintf("there are two push providers named %q", p.Name()))
		}
		g.lines[p.Name()] = &line{
			provider: p, permits: make(chan struct{}, cfg.Concurrent), services: map[string]*service{},
		}
	}
	g.metrics = newMetrics(cfg.Registerer, g)
	return g, nil
}

// Providers are the names of the providers, in order.
func (g *Gateway) Providers() []string { return slices.Sorted(maps.Keys(g.lines)) }

// Check is Provider.Check of the target's provider. An unknown provider is chat.Invalid.
func (g *Gateway) Check(provider string, address []byte) (Target, error) {
	l := g.lines[provider]
	if l == nil {
		return Target{}, chat.E(chat.Invalid, "this server does not push to targets of that kind")
	}
	canonical, err := l.provider.Check(address)
	if err != nil {
		return Target{}, err
	}
	return Target{provider, canonical}, nil
}

// Send makes one attempt, or none: while the service is paused or silent, the notification
// has expired, or nothing of its kind is configured. It waits for permits of the service and
// the provider, so that callers are held back when attempts take long, as long as attempts
// end. The outcome always says what to do with the job.
func (g *Gateway) Send(ctx context.Context, to Target, n *Notification) Outcome {
	start := g.cfg.Now()
	o := g.send(ctx, to, n, start)
	name := to.Provider
	if g.lines[name] == nil {
		name = "unknown"
	}
	g.metrics.count(name, o)
	return o
}

func (g *Gateway) send(ctx context.Context, to Target, n *Notification, now time.Time) Outcome {
	l := g.lines[to.Provider]
	switch {
	case l == nil:
		return Outcome{Action: Misconfigured, Reason: "no_provider", After: minute}
	case !now.Before(n.Expires):
		return Outcome{Action: Expired, Reason: "expired"}
	}
	s := l.enter(l.provider.Service(to.Address), now)
	defer l.leave(s)
	if wait := l.paused(s, now); wait > 0 { // without waiting for a permit first
		return Outcome{Action: Pause, Reason: "paused", After: wait}
	}
	for _, permits := range [...]chan struct{}{s.permits, l.permits} {
		if o := g.permit(ctx, l, s, permits); o != nil {
			return *o
		}
		defer func() { <-permits }()
	}
	a, refused := l.begin(s, g.cfg.Now())
	if refused != nil {
		return *refused
	}
	bounded, cancel := context.WithTimeout(ctx, g.cfg.Timeout)
	defer cancel()
	began := g.cfg.Now()
	o := l.provider.Send(bounded, to.Address, n)
	g.metrics.took(to.Provider, g.cfg.Now().Sub(began))
	if ctx.Err() != nil && !o.Action.Final() {
		// It is not the service's doing that the caller had no more time.
		o.Action = Retry
	}
	return l.end(a, o, g.cfg.Now(), g.cfg.Log)
}

// permit takes one of the permits. It waits while attempts end. Where none has for a second
// and all permits are taken, the service is silent, or all that have permits are: whatever
// else waits comes back when these attempts have timed out, and holds up nothing meanwhile.
func (g *Gateway) permit(ctx context.Context, l *line, s *service, permits chan struct{}) *Outcome {
	select {
	case permits <- struct{}{}:
		return nil
	default:
	}
	for {
		wait := l.patience(s, permits == l.permits, g.cfg.Now())
		if wait <= 0 {
			return &Outcome{Action: Retry, Reason: "silent", After: g.cfg.Timeout}
		}
		timer := time.NewTimer(wait)
		select {
		case permits <- struct{}{}:
			timer.Stop()
			return nil
		case <-ctx.Done():
			timer.Stop()
			return &Outcome{Action: Retry, Reason: "cancelled", Err: ctx.Err()}
		case <-timer.C:
		}
	}
}

// Close closes the providers. Send is not called any more.
func (g *Gateway) Close() error {
	var first error
	for _, l := range g.lines {
		if err := l.provider.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}
