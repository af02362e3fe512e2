// Package limit bounds work: Limiter how much of one kind is done at the same
// time, Pace how often something is done in all, in turn between keys, Rates how often
// each of many keys does something.
//
// All answer with an error that says when to try again, which clients get as it
// is. A Limiter is for the time after a node or a network failed, when thousands
// of clients come back at once and each of them authenticates and joins: without
// a bound that work would occupy the processors and the connections for reading,
// and delay the messages of clients that were never cut off.
package limit

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
)

// Config is how a Limiter is made. Zero values mean the defaults.
type Config struct {
	Name       string            // of the work, in the plural, as metrics and errors have it: joins
	Permits    int               // how much is done at the same time; GOMAXPROCS
	MaxWaiting int               // how many callers wait for a permit; 1024. Negative: none
	MaxYielded int               // how many callers have yielded theirs; as MaxWaiting
	Labels     prometheus.Labels // of the metrics, when there are several of one name; may be nil
	Registerer prometheus.Registerer
}

const (
	defaultWaiting = 1024

	// A rejected caller is told to try again after 0.5 to 2.5 s, at random: callers
	// that were rejected together must not come back together.
	retryMin    = 500  // ms
	retrySpread = 2000 // ms
)

// Limiter is a semaphore with a bounded queue: Permits callers work, MaxWaiting wait
// in the order they came, and further ones are rejected with Busy. Safe for
// concurrent use.
type Limiter struct {
	// Set once.
	name     string
	permits  chan struct{} // holds a token for each permit in use; senders are served in order
	bound    int64         // of waiting
	mayYield int64         // bound of yielded
	rejected prometheus.Counter

	// Safe for any goroutine.
	waiting, yielded atomic.Int64
}

// New returns a Limiter.
func New(c Config) *Limiter {
	if c.Permits <= 0 {
		c.Permits = runtime.GOMAXPROCS(0)
	}
	if c.MaxWaiting == 0 {
		c.MaxWaiting = defaultWaiting
	}
	if c.MaxYielded == 0 {
		c.MaxYielded = c.MaxWaiting
	}
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "roomtide", Subsystem: c.Name, Name: name, Help: help, ConstLabels: c.Labels}
	}
	l := &Limiter{
		name: c.Name, permits: make(chan struct{}, c.Permits), bound: int64(max(0, c.MaxWaiting)), mayYield: int64(max(0, c.MaxYielded)),
		rejected: prometheus.NewCounter(prometheus.CounterOpts(opts("rejected_total", "How many "+c.Name+" were rejected because too many waited."))),
	}
	if c.Registerer != nil {
		c.Registerer.MustRegister(l.rejected,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts("running", "How many "+c.Name+" have a permit now.")),
				func() float64 { return float64(len(l.permits)) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts("waiting", "How many "+c.Name+" wait for a permit, or have yielded theirs.")),
				func() float64 { return float64(l.waiting.Load() + l.yielded.Load()) }))
	}
	return l
}

// Acquire waits for a permit. A caller that gets no error must Release it. The error
// is Busy when too many wait already, and Unavailable when ctx ended first.
func (l *Limiter) Acquire(ctx context.Context) error {
	select {
	case l.permits <- struct{}{}: // no caller waits, or this would block
		return nil
	default:
	}
	defer l.waiting.Add(-1)
	if l.waiting.Add(1) > l.bound {
		return l.reject()
	}
	select {
	case l.permits <- struct{}{}:
		return nil
	case <-ctx.Done():
		return chat.Wrap(chat.Unavailable, l.name, ctx.Err())
	}
}

// Release gives the caller's permit back.
func (l *Limiter) Release() { <-l.permits }

// Yield gives the caller's permit to others while wait waits for something that is
// no work in this Limiter, such as the answer of another server. Only a caller
// that has acquired a permit may call it, and has a permit again when Yield returns:
// at once or nearly, since permits are held for work only. When too many have
// yielded already the error is Busy, wait is not called, and the permit is kept.
func (l *Limiter) Yield(wait func()) error {
	defer l.yielded.Add(-1)
	if l.yielded.Add(1) > l.mayYield {
		return l.reject()
	}
	l.Release()
	defer func() { l.permits <- struct{}{} }()
	wait()
	return nil
}

func (l *Limiter) reject() error {
	l.rejected.Inc()
	return &chat.Error{Kind: chat.Busy, Op: l.name, Text: "too many " + l.name + " at once", RetryAfter: retryMin + rand.Int64N(retrySpread)}
}
