package mover

import (
	"testing"
	"time"
)

const ms = time.Millisecond

// Pauses are half of the work before them, or what the rate asks for.
func TestPauses(t *testing.T) {
	now := time.Unix(1000, 0)
	for name, c := range map[string]struct {
		worked     time.Duration
		rows, rate int
		pause      time.Duration
	}{
		"a little":           {ms, 100, 0, 0},
		"a piece":            {6 * ms, 100, 0, 3 * ms},
		"a slow piece":       {400 * ms, 100, 0, 200 * ms},
		"an hour":            {time.Hour, 100, 0, time.Second / 2},
		"a rate":             {6 * ms, 100, 1000, 94 * ms},
		"a rate, a little":   {ms, 10, 1000, 9 * ms},
		"a rate that is met": {6 * ms, 1, 1000, 3 * ms},
		"no work":            {-9 * ms, 0, 0, 0}, // an order has ended a pause
	} {
		p := pacer{rested: now.Add(-c.worked)}
		if got := p.due(now, c.rows, c.rate); got != c.pause {
			t.Errorf("%s: a pause of %v, not %v", name, got, c.pause)
		}
	}
}

// The rate is kept, though timers are late, and rows of pieces without a pause count.
func TestTheRateIsKept(t *testing.T) {
	for _, worked := range []time.Duration{ms / 10, ms, 3 * ms} {
		now := time.Unix(1000, 0)
		start, rows := now, 0
		p := pacer{rested: now}
		for range 2000 {
			now = now.Add(worked)
			rows += 10
			if pause := p.due(now, 10, 1000); pause > 0 {
				now = now.Add(pause + ms)
			}
		}
		if rate := float64(rows) / now.Sub(start).Seconds(); rate > 1000 || rate < 990 {
			t.Errorf("pieces of %v: %.0f rows a second", worked, rate)
		}
	}
}
