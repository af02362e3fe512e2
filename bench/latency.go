package bench

import (
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"
)

// Latency is a distribution in a few words.
type Latency struct {
	Samples int64         `json:"samples"`
	P50     time.Duration `json:"p50_ns"`
	P99     time.Duration `json:"p99_ns"`
	P999    time.Duration `json:"p999_ns"`
	Max     time.Duration `json:"max_ns"`
}

func (l *Latency) String() string {
	return fmt.Sprintf("p50 %s  p99 %s  p99.9 %s  max %s", round(l.P50), round(l.P99), round(l.P999), round(l.Max))
}

func round(d time.Duration) time.Duration {
	for unit := time.Microsecond; ; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit)
		}
	}
}

// histogram counts durations in buckets 3% wide, from any goroutine.
type histogram struct {
	buckets [64 * steps]atomic.Int64
	max     atomic.Int64
}

// steps is how many buckets a power of two has.
const steps = 32

func bucketOf(d time.Duration) int {
	v := uint64(max(d, 1))
	top := bits.Len64(v) - 1
	if top < 5 {
		return int(v)
	}
	return (top-4)*steps + int(v>>(top-5))&(steps-1)
}

// lowest is the shortest duration of a bucket.
func lowest(bucket int) time.Duration {
	if bucket < steps {
		return time.Duration(bucket)
	}
	top := bucket/steps + 4
	return time.Duration(uint64(steps+bucket%steps) << (top - 5))
}

func (h *histogram) add(d time.Duration) {
	h.buckets[bucketOf(d)].Add(1)
	for {
		m := h.max.Load()
		if int64(d) <= m || h.max.CompareAndSwap(m, int64(d)) {
			return
		}
	}
}

func (h *histogram) latency() Latency {
	var n int64
	for i := range h.buckets {
		n += h.buckets[i].Load()
	}
	l := Latency{Samples: n, Max: time.Duration(h.max.Load())}
	for _, q := range []struct {
		share float64
		to    *time.Duration
	}{{.5, &l.P50}, {.99, &l.P99}, {.999, &l.P999}} {
		rank := int64(q.share * float64(n-1))
		for i := range h.buckets {
			if rank -= h.buckets[i].Load(); rank < 0 {
				*q.to = min(lowest(i+1), l.Max)
				break
			}
		}
	}
	return l
}
