package bench

import (
	"math"
	"time"
)

// backoff is how long the stock Socket.IO client waits before it connects
// again with its default options: from 1 s, twice as long after each failure, half
// of it more or less at random, and never more than 5 s. The bound is applied last,
// so that the pause is not random from the fifth attempt on: it is exactly 5 s, and
// clients that were disconnected at the same time reconnect at the same time. A
// server must stand that.
type backoff struct {
	failures int
	random   func() float64 // in [0,1)
}

const (
	backoffMin    = 1000 // ms
	backoffMax    = 5000 // ms
	backoffFactor = 2
	backoffJitter = 0.5
)

func (b *backoff) next() time.Duration {
	ms := backoffMin * math.Pow(backoffFactor, float64(b.failures))
	b.failures++
	r := b.random()
	deviation := math.Floor(r * backoffJitter * ms)
	if int(r*10)%2 == 0 { // the same draw gives amount and sign
		deviation = -deviation
	}
	return time.Duration(min(ms+deviation, backoffMax)) * time.Millisecond
}
