package engine

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

// Rate is a token bucket: PerSecond on average, Burst at once. A PerSecond of
// 0 is no limit.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Rates bound how often things may happen. The zero value bounds nothing.
type Rates struct {
	User   Rate // durable changes of one user, in all rooms
	Room   Rate // durable changes in one room, by everybody
	Join   Rate // joins of one user
	Signal Rate // typing and read marks of one user
}

// rates are the token buckets in use.
type rates struct {
	user, room, join, signal *buckets
}

func newRates(r Rates, now func() time.Time, reg prometheus.Registerer) *rates {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "roomtide_rate_limited_total", Help: "Requests refused by a rate limit.",
	}, []string{"rate"})
	if reg != nil {
		reg.MustRegister(refused)
	}
	return &rates{
		user:   newBuckets(r.User, now, refused.WithLabelValues("user")),
		room:   newBuckets(r.Room, now, refused.WithLabelValues("room")),
		join:   newBuckets(r.Join, now, refused.WithLabelValues("join")),
		signal: newBuckets(r.Signal, now, refused.WithLabelValues("signal")),
	}
}

// change spends a token of the user and of the room. The host's back end is
// trusted and spends none.
func (r *rates) change(a *Actor, room chat.RoomID) error {
	if a.Server {
		return nil
	}
	if err := r.user.take(string(a.User), "you are sending too fast"); err != nil {
		return err
	}
	return r.room.take(string(room), "this room is too busy")
}

const (
	bucketShards = 16
	// bucketsKept bounds the memory of one shard's buckets. A bucket that is
	// dropped starts full again, so this must be far more than send at once.
	bucketsKept = 8 << 10
)

// buckets is a token bucket for each key.
type buckets struct {
	rate    Rate
	now     func() time.Time
	refused prometheus.Counter
	seed    maphash.Seed
	shards  [bucketShards]struct {
		mu sync.Mutex
		m  *lru.Map[string, *rate.Limiter] // guarded by mu
	}
}

func newBuckets(r Rate, now func() time.Time, refused prometheus.Counter) *buckets {
	b := &buckets{rate: r, now: now, refused: refused, seed: maphash.MakeSeed()}
	for i := range b.shards {
		b.shards[i].m = lru.New[string, *rate.Limiter](bucketsKept)
	}
	return b
}

// take spends one token of the key, or says when there will be one.
func (b *buckets) take(key, text string) error {
	if b.rate.PerSecond <= 0 {
		return nil
	}
	s := &b.shards[maphash.String(b.seed, key)%bucketShards]
	s.mu.Lock()
	l, ok := s.m.Get(key)
	if !ok {
		l = rate.NewLimiter(rate.Limit(b.rate.PerSecond), max(1, b.rate.Burst))
		s.m.Put(key, l)
	}
	s.mu.Unlock()
	now := b.now()
	if l.AllowN(now, 1) {
		return nil
	}
	b.refused.Inc()
	missing := 1 - l.TokensAt(now)
	wait := int64(math.Ceil(missing / b.rate.PerSecond * 1000))
	return &chat.Error{Kind: chat.RateLimited, Op: "engine.rate", Text: text, RetryAfter: max(wait, 1)}
}
