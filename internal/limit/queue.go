// Package limit bounds how much of one kind of work is done at the same time.
//
// When a node or a network fails, everybody comes back at once, and every one of
// them has to say who they are and to join. Together that could keep the
// processors and the connections for reading so busy that those who never went
// feel it. So a few have their turn, the others wait for it in the order they
// came, and when too many wait the next is told to come again, each at a time of
// its own.
package limit

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
)

// Config says what a Queue is for. Zero values mean the defaults.
type Config struct {
	Name       string // of what is done in a turn, as metrics and errors have it: joins
	AtOnce     int    // turns at the same time, GOMAXPROCS
	Waiting    int    // how many wait for their turn, and how many aside; 1024. Negative: none
	Registerer prometheus.Registerer
}

const (
	waiting = 1024

	// Who is put off is told to come again after 0.5 to 2.5 s, by chance: those who
	// were refused together must not come together.
	after  = 500  // ms
	spread = 2000 // ms
)

// Queue is those who wait for their turn. Safe for concurrent use.
type Queue struct {
	// Set once.
	name   string
	turns  chan struct{} // holds a token for each turn; who waits for one is served in order
	bound  int64
	putOff prometheus.Counter

	waiting, aside atomic.Int64
}

// New returns a Queue.
func New(c Config) *Queue {
	if c.AtOnce <= 0 {
		c.AtOnce = runtime.GOMAXPROCS(0)
	}
	if c.Waiting == 0 {
		c.Waiting = waiting
	}
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "roomtide", Subsystem: c.Name, Name: name, Help: help}
	}
	q := &Queue{
		name: c.Name, turns: make(chan struct{}, c.AtOnce), bound: int64(max(0, c.Waiting)),
		putOff: prometheus.NewCounter(prometheus.CounterOpts(opts("put_off_total", "How many "+c.Name+" were refused because too many waited."))),
	}
	if c.Registerer != nil {
		c.Registerer.MustRegister(q.putOff,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts("running", "How many "+c.Name+" have their turn now.")),
				func() float64 { return float64(len(q.turns)) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts("waiting", "How many "+c.Name+" wait for their turn, or aside.")),
				func() float64 { return float64(q.waiting.Load() + q.aside.Load()) }))
	}
	return q
}

// Enter waits for the caller's turn. Whoever gets no error must Leave.
func (q *Queue) Enter(ctx context.Context) error {
	select {
	case q.turns <- struct{}{}: // nobody waits, or this would block
		return nil
	default:
	}
	defer q.waiting.Add(-1)
	if q.waiting.Add(1) > q.bound {
		return q.busy()
	}
	select {
	case q.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return chat.Wrap(chat.Unavailable, q.name, ctx.Err())
	}
}

// Leave ends the caller's turn.
func (q *Queue) Leave() { <-q.turns }

// Aside lets others have their turn while wait waits for something that is no
// work of this machine, such as the answer of another. It is for whoever has
// entered, and who has the turn again when Aside returns: at once or nearly, since
// nobody keeps a turn while they wait. When too many are aside already it refuses,
// and wait is not called.
func (q *Queue) Aside(wait func()) error {
	defer q.aside.Add(-1)
	if q.aside.Add(1) > q.bound {
		return q.busy()
	}
	q.Leave()
	defer func() { q.turns <- struct{}{} }()
	wait()
	return nil
}

func (q *Queue) busy() error {
	q.putOff.Inc()
	return &chat.Error{Kind: chat.Busy, Op: q.name, Text: "too many " + q.name + " at once", RetryAfter: after + rand.Int64N(spread)}
}
