package bench

import (
	"context"
	"time"
)

// Slow is the result for the reader that stopped.
type Slow struct {
	Missed   int64         `json:"missed"`    // messages behind, when it began to read again
	Gaps     int64         `json:"gaps"`      // times it was told to join again, on the same connection or another
	Attempts int64         `json:"attempts"`  // to connect again, because the server had ended the connection
	CaughtUp int64         `json:"caught_up"` // messages that came with a join
	Whole    time.Duration `json:"whole_ns"`  // from reading again until it had everything
}

// slow stops the reading of one member between two phases of ordinary work, and
// reports the latencies of the others. Its connection is made to be like one of an
// ordinary network: a loopback socket would take megabytes before the server noticed.
func (r *Result) slow(ctx context.Context, l *load, server processes) error {
	s := &r.Scenario
	reader := l.members[len(l.members)-1]
	elapsed := make(chan time.Duration, 1)
	go func() { elapsed <- l.work(ctx, 2*s.Duration+s.Stop) }()

	held := make(chan struct{})
	for _, p := range []struct {
		name string
		of   time.Duration
		fn   func() error
	}{
		{"before", s.Duration, func() error { return wait(ctx, s.Duration) }},
		{"stopped", s.Stop, func() error {
			reader.held.Store(&held)
			return wait(ctx, s.Stop)
		}},
		{"after", s.Duration, func() error {
			reader.held.Store(nil)
			close(held)
			r.Slow = &Slow{Missed: l.behind(reader)}
			begin := time.Now()
			for l.behind(reader) > 0 && time.Since(begin) < s.Duration {
				if err := wait(ctx, time.Millisecond); err != nil {
					return err
				}
			}
			r.Slow.Whole = time.Since(begin)
			return wait(ctx, s.Duration-r.Slow.Whole)
		}},
	} {
		f := new(figures)
		l.figures.Store(f)
		phase, err := r.phase(p.name, l, server, p.of, p.fn)
		if err != nil {
			return err
		}
		phase.Ack, phase.Delivery = f.ack.latency(), f.delivery.latency()
	}
	r.Elapsed = <-elapsed
	r.Slow.Gaps, r.Slow.Attempts, r.Slow.CaughtUp = l.returns.resumed.Load(), l.returns.attempts.Load(), l.returns.caughtUp.Load()
	return nil
}

// behind is how many messages the member has not got.
func (l *load) behind(m *member) int64 {
	return l.sent[m.room].Load() - m.delivered.Load()
}
