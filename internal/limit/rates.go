package limit

import (
	"hash/maphash"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/lru"
)

// RatesConfig is how Rates are made.
type RatesConfig struct {
	PerSecond float64 // tokens a key gets; 0: everything is allowed
	Burst     int     // tokens a key has at most, and at first; at least 1

	// MaxKeys is how many keys are remembered; 128 Ki. A key that was used lately
	// is not forgotten before about as many others were used; one that is
	// forgotten has all its tokens again. So this must be far more than the keys
	// that are busy at once.
	MaxKeys int

	// Share is how many tokens a key spends before other nodes are to know (Spent); 0:
	// there are none.
	Share  int
	Untold prometheus.Counter // counts tokens of which they do not hear, as too many keys spend; nil: none

	Op, Text string             // of the error
	Rejected prometheus.Counter // counts refusals of Take; nil: none
	Now      func() time.Time   // nil: time.Now
}

const (
	defaultKeys = 128 << 10
	rateStripes = 16

	// maxOwed is how many times Burst a key owes at most for what it has spent on other
	// nodes: a burst on each of 16.
	maxOwed = 16
)

// Rates is a token bucket for each key, in bounded memory. Safe for concurrent
// use.
type Rates[K comparable] struct {
	// Set once.
	cfg  RatesConfig
	seed maphash.Seed

	stripes [rateStripes]rateStripe[K]
}

// rateStripe are the keys of one hash.
type rateStripe[K comparable] struct {
	mu sync.Mutex

	// Guarded by mu.
	buckets *lru.Map[K, *bucket]
	spent   map[K]int // tokens, for Spent
}

// bucket is that of one key.
type bucket struct {
	*rate.Limiter
	untold int // tokens, less than Share; guarded by the mu of the stripe
}

// NewRates returns Rates in which every key has all its tokens.
func NewRates[K comparable](c RatesConfig) *Rates[K] {
	if c.MaxKeys <= 0 {
		c.MaxKeys = defaultKeys
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Burst = max(1, c.Burst)
	r := &Rates[K]{cfg: c, seed: maphash.MakeSeed()}
	for i := range r.stripes {
		r.stripes[i].buckets = lru.New[K, *bucket](max(1, c.MaxKeys/rateStripes))
	}
	return r
}

// Take spends a token of the key. If there is none the error is RateLimited and
// says when there will be one.
func (r *Rates[K]) Take(key K) error {
	if r.cfg.PerSecond <= 0 {
		return nil
	}
	b, now := r.bucket(key, true), r.cfg.Now()
	if b.AllowN(now, 1) {
		r.note(key, b, 1)
		return nil
	}
	if r.cfg.Rejected != nil {
		r.cfg.Rejected.Inc()
	}
	return r.limited(b.TokensAt(now))
}

// Spend takes n tokens of the key, more than there are if need be: then Take and
// Check fail until they have come back. So what something costs may be known only
// once it is done. A key owes no more than Burst.
func (r *Rates[K]) Spend(key K, n int) {
	if r.cfg.PerSecond <= 0 {
		return
	}
	b, now := r.bucket(key, true), r.cfg.Now()
	if left := int(b.TokensAt(now)) + r.cfg.Burst; left > 0 {
		n = min(n, left, r.cfg.Burst)
		b.ReserveN(now, n)
		r.note(key, b, n)
	}
}

// Refused counts a refusal by Check.
func (r *Rates[K]) Refused() {
	if r.cfg.Rejected != nil {
		r.cfg.Rejected.Inc()
	}
}

// Check returns the error that Take would, and spends nothing.
func (r *Rates[K]) Check(key K) error {
	if r.cfg.PerSecond <= 0 {
		return nil
	}
	b := r.bucket(key, false)
	if b == nil {
		return nil
	}
	if tokens := b.TokensAt(r.cfg.Now()); tokens < 1 {
		return r.limited(tokens)
	}
	return nil
}

// Budget is what a key has left.
type Budget struct {
	Limit     int           // tokens it has at most
	Remaining int           // tokens it has now
	Reset     time.Duration // until it has Limit again
}

// Budget returns what the key has left, and spends nothing; false if everything is
// allowed.
func (r *Rates[K]) Budget(key K) (Budget, bool) {
	if r.cfg.PerSecond <= 0 {
		return Budget{}, false
	}
	tokens := float64(r.cfg.Burst)
	if b := r.bucket(key, false); b != nil {
		tokens = min(tokens, b.TokensAt(r.cfg.Now()))
	}
	missing := (float64(r.cfg.Burst) - tokens) / r.cfg.PerSecond
	return Budget{r.cfg.Burst, max(0, int(tokens)), time.Duration(missing * float64(time.Second))}, true
}

func (r *Rates[K]) stripe(key K) *rateStripe[K] {
	return &r.stripes[maphash.Comparable(r.seed, key)%rateStripes]
}

// bucket returns the bucket of a key, nil if there is none and none is to be made.
func (r *Rates[K]) bucket(key K, create bool) *bucket {
	s := r.stripe(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.buckets.Get(key)
	if !ok && create {
		b = &bucket{Limiter: rate.NewLimiter(rate.Limit(r.cfg.PerSecond), r.cfg.Burst)}
		s.buckets.Put(key, b)
	}
	return b
}

func (r *Rates[K]) limited(tokens float64) error {
	wait := int64(math.Ceil((1 - tokens) / r.cfg.PerSecond * 1000))
	return &chat.Error{Kind: chat.RateLimited, Op: r.cfg.Op, Text: r.cfg.Text, RetryAfter: max(wait, 1)}
}

// Len returns how many keys are remembered: at most twice MaxKeys, or 32.
func (r *Rates[K]) Len() (n int) {
	for i := range r.stripes {
		s := &r.stripes[i]
		s.mu.Lock()
		n += s.buckets.Len()
		s.mu.Unlock()
	}
	return n
}
