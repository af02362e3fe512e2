// Package webhook delivers what happens in rooms to the host's back end: signed, in the
// order of each room, again until it is taken. The events are those of package hostevents,
// the signatures those of Standard Webhooks.
//
// An endpoint is a consumer of the outbox with a cursor of its own in each shard, so that
// on a cluster each lane's owner delivers what the lane commits. What it may rely on:
//
//   - At least once, with the same id. A cursor passes an event when it was taken, or given up.
//   - In order per room. The rooms of a shard are divided into streams; a stream makes one
//     request at a time, and an event that fails holds up its stream alone.
//   - By itself. An endpoint that is down or slow delays no other: it has workers, a
//     breaker and connections of its own.
//   - Bounded. An event is tried until it is Config.RetryFor old, or the endpoint is a million
//     commits behind; then it is a dead letter, of which the newest 10,000 are kept. So no
//     endpoint keeps entries of the outbox for longer. While there are endpoints the outbox
//     keeps all entries for Config.History, from which they can be delivered again.
//
// The synchronous hook, which decides on a message before it is stored, is in hook.go.
package webhook

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/hostevents"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/store"
)

// Outbox is what webhooks need of outbox.Outbox, where the methods are specified.
type Outbox interface {
	Add(ctx context.Context, k outbox.Consumer) error
	Remove(ctx context.Context, consumer string) error
	Lags(consumer string) map[int]int64
}

// Lanes is what webhooks need of lane.Lanes.
type Lanes interface{ Position(shard int) int64 }

// Config configures a Service. Store, Lanes and Deployment are required.
type Config struct {
	Store      *store.Store
	Lanes      Lanes
	Deployment string // its id: part of the ids of events

	Allow    []netip.Prefix // addresses that may be called though they are not public
	Timeout  time.Duration  // of a request; default 15 s
	RetryFor time.Duration  // how old an event gets before it is given up; default 72 h
	History  time.Duration  // how long events can be delivered again; default 72 h, below 0: not at all
	Poll     time.Duration  // how often it is looked for endpoints that another node has changed; default 5 s
	Version  string         // of the program

	Now        func() time.Time
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

func (c *Config) fill() {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.Timeout, 15*time.Second)
	def(&c.RetryFor, 72*time.Hour)
	def(&c.History, 72*time.Hour)
	def(&c.Poll, 5*time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// lastAnswers is how long Close waits for endpoints.
const lastAnswers = time.Second

// connsPerHost is how many connections one endpoint gets.
const connsPerHost = 32

// Service keeps the endpoints and delivers to them. Its methods are safe for concurrent use.
type Service struct {
	// Set once.
	cfg     Config
	source  *hostevents.Source
	caller  *caller
	metrics *metrics
	orders  chan order // for run
	stop    context.CancelFunc
	ended   chan struct{}

	requests  requests // of couriers
	sinceTrim atomic.Int64
	attended  atomic.Bool // an endpoint names a kind that happens only if it is asked for
	disabling sync.WaitGroup

	// Held from reading endpoints to storing what was made of them, so that no edit is lost to
	// another one. It is for these calls of the control database, which have deadlines.
	editing sync.Mutex

	mu       sync.Mutex
	couriers map[string]*courier // guarded by mu: by endpoint, of those that are enabled

	// Owned by run.
	outbox  Outbox
	history bool // the consumer that keeps entries is there
}

// order asks run to bring the consumers in step with what is stored.
type order struct {
	done chan<- error // cap 1; nil: nothing waits
}

// New returns a Service that does nothing before Start. Fate may be asked.
func New(cfg Config) *Service {
	cfg.fill()
	return &Service{
		cfg: cfg, source: hostevents.NewSource(cfg.Store, cfg.Deployment),
		caller:  newCaller(cfg.Allow, cfg.Timeout, connsPerHost, cfg.Version, cfg.Now),
		metrics: newMetrics(cfg.Registerer), orders: make(chan order), ended: make(chan struct{}),
		couriers: map[string]*courier{},
	}
}

// Start begins to deliver, until Close, which comes before that of the outbox. An endpoint
// whose consumer cannot be added now is tried again.
func (s *Service) Start(box Outbox) {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop, s.outbox = cancel, box
	go s.run(ctx)
}

// Close ends looking for changes of endpoints, begins no request any more, and gives those under
// way a moment to be answered, so that they are not made again at the next start. The outbox
// cuts off what is left. Close may be called again.
func (s *Service) Close() {
	if s.stop != nil {
		s.stop()
		<-s.ended
	}
	s.requests.close(lastAnswers)
	s.disabling.Wait()
	s.caller.close()
}

// Fate is outbox.Config.Fate: cursors of endpoints that were deleted, disabled or ordered
// to begin elsewhere are gone. It asks the control database.
func (s *Service) Fate(ctx context.Context, consumer string) outbox.Fate {
	if !strings.HasPrefix(consumer, consumerOf) {
		return outbox.Unknown
	}
	all, err := s.stored(ctx)
	if err != nil {
		return outbox.Comes // perhaps
	}
	for _, e := range all {
		if e.Enabled && (e.consumer() == consumer || consumer == historyName && s.cfg.History > 0) {
			return outbox.Comes
		}
	}
	return outbox.Gone
}

// run owns the consumers.
func (s *Service) run(ctx context.Context) {
	defer close(s.ended)
	poll := time.NewTicker(s.cfg.Poll)
	defer poll.Stop()
	s.step(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
			s.step(ctx)
		case o := <-s.orders:
			o.done <- s.reconcile(ctx)
		}
	}
}

func (s *Service) step(ctx context.Context) {
	if err := s.reconcile(ctx); err != nil && ctx.Err() == nil {
		s.cfg.Log.Warn("webhook: the endpoints could not be brought up to date; it is tried again", "err", err)
	}
}

// refresh has run look at the endpoints now.
func (s *Service) refresh(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case s.orders <- order{done}:
	case <-s.ended:
		return chat.E(chat.Unavailable, "the server is stopping")
	case <-ctx.Done():
		return &chat.Error{Kind: chat.Unavailable, Op: "webhook.refresh", Err: ctx.Err()}
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return &chat.Error{Kind: chat.Unavailable, Op: "webhook.refresh", Err: ctx.Err()}
	}
}

// reconcile brings the consumers in step with the endpoints that are stored.
func (s *Service) reconcile(ctx context.Context) error {
	all, err := s.stored(ctx)
	if err != nil {
		return err
	}
	enabled, asked := map[string]*Endpoint{}, false
	for _, e := range all {
		if e.Enabled {
			enabled[e.ID] = e
			asked = asked || slices.ContainsFunc(e.Kinds, hostevents.Kind.Asked)
		}
	}
	if err := s.keepHistory(ctx, len(enabled) > 0); err != nil {
		return err
	}
	s.mu.Lock()
	old := s.couriers
	s.mu.Unlock()
	now, err := s.replace(ctx, old, enabled)
	s.mu.Lock()
	s.couriers = now // also after an error: the outbox has these
	s.mu.Unlock()
	if err != nil {
		return err
	}
	s.attended.Store(asked)
	return nil
}

// replace removes the consumers of endpoints that are no longer enabled, adds those of new
// ones, and returns the couriers of all that are; after an error, of those that the outbox may have.
func (s *Service) replace(ctx context.Context, old map[string]*courier, enabled map[string]*Endpoint) (map[string]*courier, error) {
	now := maps.Clone(old)
	for id, c := range old {
		if e := enabled[id]; e != nil && e.consumer() == c.name {
			c.endpoint.Store(e)
			continue
		}
		if e := enabled[id]; e == nil { // no request more
			off := *c.endpoint.Load()
			off.Enabled = false
			c.endpoint.Store(&off)
		}
		if err := s.outbox.Remove(ctx, c.name); err != nil {
			return now, err
		}
		delete(now, id)
	}
	for id, e := range enabled {
		c := now[id]
		if c == nil {
			c = newCourier(s, e)
			now[id] = c
		}
		if err := s.outbox.Add(ctx, c.consumer()); err != nil {
			return now, err
		}
	}
	return now, nil
}

// Attended reports whether an endpoint asks for the events of users online and offline. It
// may be as old as Config.Poll.
func (s *Service) Attended() bool { return s.attended.Load() }

// keepHistory has the outbox keep entries while there are endpoints.
func (s *Service) keepHistory(ctx context.Context, on bool) (err error) {
	switch on = on && s.cfg.History > 0; {
	case on && !s.history:
		err = s.outbox.Add(ctx, outbox.Consumer{Name: historyName, Trails: true, Quiet: true, Leaves: true, Parts: s.keep})
	case !on && s.history:
		err = s.outbox.Remove(ctx, historyName)
	}
	if err == nil {
		s.history = on
	}
	return err
}

// keep lets go of an entry when it is old enough, or when there are too many.
func (s *Service) keep(_ context.Context, shard int, e *store.Entry) ([]outbox.Part, error) {
	young := time.UnixMilli(e.Time).Add(s.cfg.History).Sub(s.cfg.Now())
	if e.Time == 0 || young <= 0 || s.cfg.Lanes.Position(shard)-e.Position > maxBehind {
		return nil, nil
	}
	return nil, outbox.Later{After: min(young, time.Minute)}
}

// courier returns that of an enabled endpoint, nil if there is none here.
func (s *Service) courier(id string) *courier {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.couriers[id]
}
