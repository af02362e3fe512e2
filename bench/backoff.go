package bench

import (
	"math"
	"time"
)

// backoff is how long the stock Socket.IO client waits before it connects
// again, with the options it has unless somebody sets others: from 1 s, twice
// as long after each failure, half of it up or down by chance, and never more
// than 5 s. The bound comes last, so that chance has no say any more from the
// fifth attempt on: everybody waits exactly 5 s, and those who were cut at the
// same time go on knocking at the same time. A server must stand that.
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
	if int(r*10)%2 == 0 { // the same draw says how much and which way
		deviation = -deviation
	}
	return time.Duration(min(ms+deviation, backoffMax)) * time.Millisecond
}
