package webhook

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	failuresToPause = 5 // in a row
	firstPause      = time.Second
	probeWait       = 500 * time.Millisecond // for those that come while one request finds out
)

// breaker is the circuit breaker of an address. When requests fail in a row, none are made
// for a while, which doubles; then one finds out.
//
//	closed ── failuresToPause failures in a row, or one that says how long ──> paused
//	paused ── its time has come: one request is made ──> closed, or paused for longer
type breaker struct {
	longest time.Duration // the longest pause

	mu sync.Mutex

	// Guarded by mu.
	failures int // in a row
	pauses   int // in a row
	paused   bool
	until    time.Time
	probing  bool
	since    time.Time // of the first of the failures
	last     string    // what the last failure was
}

// begin returns how long to wait with a request, 0 if it may be made: then end follows.
func (b *breaker) begin(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	wait := b.waiting(now)
	b.probing = b.probing || wait == 0 && b.paused
	return wait
}

// end notes what came of a request; nil: it was taken.
func (b *breaker) end(f *failure, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	if f == nil {
		b.failures, b.pauses, b.paused, b.last = 0, 0, false, ""
		return
	}
	if b.failures == 0 {
		b.since = now
	}
	b.failures++
	b.last = f.Error()
	if f.after == 0 && b.failures < failuresToPause || b.paused && now.Before(b.until) {
		return
	}
	pause := f.after
	if pause == 0 {
		pause = min(firstPause<<min(b.pauses, 20), b.longest)
		pause = pause/2 + rand.N(pause/2+1) // nodes do not come back together
	}
	b.paused, b.until = true, now.Add(pause)
	b.pauses++
}

// cancelled is end for a request of which nothing was learned.
func (b *breaker) cancelled() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

// state is what the operator is told: since when requests fail, and the last failure.
func (b *breaker) state() (failing bool, since time.Time, last string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures > 0, b.since, b.last
}

// wait returns how long it is until a request may be made, 0 if one may be made now.
func (b *breaker) wait(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting(now)
}

// waiting is wait. Called with mu held.
func (b *breaker) waiting(now time.Time) time.Duration {
	switch {
	case !b.paused:
		return 0
	case now.Before(b.until):
		return b.until.Sub(now)
	case b.probing:
		return probeWait
	}
	return 0
}
