package engine

import (
	"context"
	"math/rand/v2"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
)

// Pace bounds how many joins ask the store at the same time. Zero values mean
// the defaults.
//
// When a node or a network fails, everybody comes back at once, and every one of
// them joins. What they ask could keep the processors and the connections for
// reading so busy that those who never went feel it. So a few joins run, the
// others wait for their turn in the order they came, and when too many wait the
// next is told to come again, each at a time of its own.
type Pace struct {
	AtOnce int // joins that run, GOMAXPROCS
	Queue  int // joins that wait, 1024
}

const (
	paceQueue = 1024

	// A join that is put off is told to come again after 0.5 to 2.5 s, by chance:
	// those who were refused together must not come together.
	paceAfter  = 500  // ms
	paceSpread = 2000 // ms
)

// pace is the queue in front of the joins.
type pace struct {
	// Set once.
	running chan struct{} // holds a token for each join that runs; who waits for a place is served in order
	queue   int64
	refused prometheus.Counter

	waiting atomic.Int64
}

func newPace(p Pace, procs int, reg prometheus.Registerer) *pace {
	if p.AtOnce <= 0 {
		p.AtOnce = procs
	}
	if p.Queue <= 0 {
		p.Queue = paceQueue
	}
	w := &pace{
		running: make(chan struct{}, p.AtOnce), queue: int64(p.Queue),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "roomtide_joins_put_off_total", Help: "Joins refused because too many were waiting."}),
	}
	if reg != nil {
		reg.MustRegister(w.refused,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "roomtide_joins_running", Help: "Joins that ask the store now."},
				func() float64 { return float64(len(w.running)) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "roomtide_joins_waiting", Help: "Joins that wait for their turn."},
				func() float64 { return float64(w.waiting.Load()) }))
	}
	return w
}

// enter waits for the caller's turn. Whoever gets no error must leave.
func (p *pace) enter(ctx context.Context) error {
	select {
	case p.running <- struct{}{}: // nobody waits, or this would block
		return nil
	default:
	}
	defer p.waiting.Add(-1)
	if p.waiting.Add(1) > p.queue {
		p.refused.Inc()
		return &chat.Error{Kind: chat.Busy, Op: "engine.join", Text: "too many are joining", RetryAfter: paceAfter + rand.Int64N(paceSpread)}
	}
	select {
	case p.running <- struct{}{}:
		return nil
	case <-ctx.Done():
		return chat.Wrap(chat.Unavailable, "engine.join", ctx.Err())
	}
}

func (p *pace) leave() { <-p.running }
