package limit

import (
	"container/list"
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/roomtide/roomtide/chat"
)

// PaceConfig is how a Pace is made.
type PaceConfig struct {
	Name       string  // of what is paced, in the plural, as metrics and errors have it: handshakes
	PerSecond  float64 // how many pass; at least 0.001
	Burst      int     // how many pass at once after a quiet time; at least 1
	MaxWaiting int     // how many wait in all; 16 Ki
	PerKey     int     // how many of one key wait; 4 Ki
	Registerer prometheus.Registerer
}

// Pace lets callers pass at a rate. Those that wait pass in turn by key, so that the
// callers of one key wait for few of the others', however many those are. Callers with
// the zero key have nothing in common: each has a turn of its own. Safe for concurrent
// use.
type Pace[K comparable] struct {
	// Set once.
	cfg      PaceConfig
	limiter  *rate.Limiter
	rejected prometheus.Counter

	// Guarded by mu.
	mu      sync.Mutex
	waiting int
	flows   map[K]*flow[K] // of the keys with callers that wait; none for the zero key
	turns   *list.List     // of *flow[K]: the next to pass first
	ticking bool           // a timer lets the next one pass
}

// flow is what waits under one key. Guarded by the Pace's mu.
type flow[K comparable] struct {
	key     K
	callers *list.List    // of func(), the oldest first
	turn    *list.Element // in turns
}

// NewPace returns a Pace.
func NewPace[K comparable](c PaceConfig) *Pace[K] {
	if c.MaxWaiting == 0 {
		c.MaxWaiting = 16 << 10
	}
	if c.PerKey == 0 {
		c.PerKey = 4 << 10
	}
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "roomtide", Subsystem: c.Name, Name: name, Help: help}
	}
	p := &Pace[K]{
		cfg: c, limiter: rate.NewLimiter(rate.Limit(max(c.PerSecond, .001)), max(1, c.Burst)),
		flows: map[K]*flow[K]{}, turns: list.New(),
		rejected: prometheus.NewCounter(prometheus.CounterOpts(opts("rejected_total", "How many "+c.Name+" were rejected because too many waited."))),
	}
	if c.Registerer != nil {
		c.Registerer.MustRegister(p.rejected,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts("waiting", "How many "+c.Name+" wait for their turn.")),
				func() float64 { return float64(p.Waiting()) }))
	}
	return p
}

// Waiting returns how many callers wait.
func (p *Pace[K]) Waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting
}

// Wait returns when it is the caller's turn. The error is Busy when too many wait
// already, and Unavailable when ctx ended first; then nothing was spent.
func (p *Pace[K]) Wait(ctx context.Context, key K) error {
	p.mu.Lock()
	if p.waiting == 0 && p.limiter.Allow() {
		p.mu.Unlock()
		return nil
	}
	f := p.flow(key)
	if p.waiting >= p.cfg.MaxWaiting || f.callers.Len() >= p.cfg.PerKey {
		p.mu.Unlock()
		return p.reject()
	}
	pass := make(chan struct{})
	caller := p.add(f, func() { close(pass) })
	p.mu.Unlock()
	select {
	case <-pass:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if taken := caller.Value == nil; taken { // at the same moment
		return nil
	}
	p.remove(f, caller)
	return chat.Wrap(chat.Unavailable, p.cfg.Name, ctx.Err())
}

// Queue calls pass when it is the caller's turn: at once, or later in a goroutine of the
// Pace. pass must not block. The error is Busy when too many wait already; then pass is
// not called.
func (p *Pace[K]) Queue(key K, pass func()) error {
	p.mu.Lock()
	if p.waiting == 0 && p.limiter.Allow() {
		p.mu.Unlock()
		pass()
		return nil
	}
	defer p.mu.Unlock()
	f := p.flow(key)
	if p.waiting >= p.cfg.MaxWaiting || f.callers.Len() >= p.cfg.PerKey {
		return p.reject()
	}
	p.add(f, pass)
	return nil
}

// add lets a caller wait. mu is held.
func (p *Pace[K]) add(f *flow[K], pass func()) *list.Element {
	caller := f.callers.PushBack(pass)
	if f.turn == nil {
		f.turn = p.turns.PushBack(f)
	}
	p.waiting++
	p.tick()
	return caller
}

// flow returns the flow of a key. It is not kept before a caller waits in it, which
// flows with the zero key need not be. mu is held.
func (p *Pace[K]) flow(key K) *flow[K] {
	f := p.flows[key]
	if f != nil {
		return f
	}
	f = &flow[K]{key: key, callers: list.New()}
	var zero K
	if key != zero && p.waiting < p.cfg.MaxWaiting {
		p.flows[key] = f
	}
	return f
}

// remove takes a caller out of its flow. mu is held.
func (p *Pace[K]) remove(f *flow[K], caller *list.Element) {
	f.callers.Remove(caller)
	p.waiting--
	if f.callers.Len() == 0 {
		p.turns.Remove(f.turn)
		delete(p.flows, f.key) // there is none of the zero key
	}
}

// tick sets the timer for the next pass, unless it is set. mu is held.
func (p *Pace[K]) tick() {
	if p.ticking || p.waiting == 0 {
		return
	}
	p.ticking = true
	now := time.Now()
	r := p.limiter.ReserveN(now, 1) // for whichever caller's turn it is then
	time.AfterFunc(r.DelayFrom(now), p.next)
}

// next lets the caller pass whose turn it is, and every other for which there is a
// token.
func (p *Pace[K]) next() {
	for _, pass := range p.due() {
		pass()
	}
}

// due takes those out whose turn it is.
func (p *Pace[K]) due() (passing []func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ticking = false
	for granted := true; granted && p.waiting > 0; granted = p.waiting > 0 && p.limiter.Allow() {
		f := p.turns.Front().Value.(*flow[K])
		caller := f.callers.Front()
		p.turns.MoveToBack(f.turn)
		p.remove(f, caller)
		passing = append(passing, caller.Value.(func()))
		caller.Value = nil
	}
	p.tick()
	return passing
}

func (p *Pace[K]) reject() error {
	p.rejected.Inc()
	return &chat.Error{Kind: chat.Busy, Op: p.cfg.Name, Text: "too many " + p.cfg.Name + " at once", RetryAfter: retryMin + rand.Int64N(retrySpread)}
}
