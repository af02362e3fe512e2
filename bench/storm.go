package bench

import (
	"context"
	"time"
)

// Storm is the result of a storm: all connections are cut and reconnect.
type Storm struct {
	Cut      int              `json:"cut"`
	Resumed  int64            `json:"resumed"`
	All      time.Duration    `json:"all_ns"` // from the cut until all members had everything
	Each     Latency          `json:"each"`   // the same for each of them, with the pauses
	Attempts int64            `json:"attempts"`
	Failed   map[string]int64 `json:"failed"`    // attempts, by reason
	Busy     int64            `json:"busy"`      // joins refused with busy
	CaughtUp int64            `json:"caught_up"` // messages that came with a join
	Ended    map[string]int64 `json:"ended"`     // connections that the server ended, by reason
}

// stormTime is the longest time for all members to reconnect.
const stormTime = time.Minute

// storm cuts every connection at once, and measures the reconnections while other
// members go on sending into the same rooms.
func (r *Result) storm(ctx context.Context, l *load, server processes) error {
	begin := time.Now()
	t, err := startStayers(l)
	if err != nil {
		return err
	}
	defer t.end()
	if err := wait(ctx, l.s.Duration/4); err != nil { // what starting cost is not part of it
		return err
	}
	if _, err := t.next("warm"); err != nil {
		return err
	}
	quiet := func() error { return wait(ctx, l.s.Duration) }
	for _, p := range []struct {
		name string
		of   time.Duration
		fn   func() error
	}{{"before", l.s.Duration, quiet}, {"storm", stormTime, func() error { return r.cutAll(ctx, l) }}, {"after", l.s.Duration, quiet}} {
		phase, err := r.phase(p.name, l, server, p.of, p.fn)
		if err != nil {
			return err
		}
		report, err := t.next(p.name)
		if err != nil {
			return err
		}
		phase.Ack = report.Ack
	}
	last, err := t.next("stop")
	if err != nil {
		return err
	}
	for i, n := range last.Sent {
		l.sent[i].Store(n)
	}
	l.acks.Store(last.Acked)
	for code, n := range last.Anomalies.Refused {
		l.refusals.add(code, n)
	}
	l.lost.Add(last.Anomalies.LostConnections)
	l.doubled.Add(last.Anomalies.Doubled)
	l.revs.Add(last.Anomalies.Revs)
	l.drain(ctx)
	r.Elapsed = time.Since(begin)
	return nil
}

// cutAll is the storm itself.
func (r *Result) cutAll(ctx context.Context, l *load) error {
	s := &Storm{Cut: len(l.members)}
	r.Storm = s
	begin := time.Now()
	for _, m := range l.members {
		m.away.Store(true)
		m.cut.Store(true)
		m.conn.cut()
	}
	for s.Resumed < int64(s.Cut) && time.Since(begin) < stormTime {
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return err
		}
		s.All, s.Resumed = time.Since(begin), 0
		for _, m := range l.members {
			if !m.away.Load() {
				s.Resumed++
			}
		}
	}
	back := &l.returns
	s.Each, s.Attempts = back.took.latency(), back.attempts.Load()
	s.Failed, s.Busy, s.CaughtUp, s.Ended = back.failed.all(), back.busy.Load(), back.caughtUp.Load(), back.ends.all()
	return nil
}
