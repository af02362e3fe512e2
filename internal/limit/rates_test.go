package limit

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
)

// clock is a time that the test moves.
type clock struct{ now time.Time }

func (c *clock) read() time.Time         { return c.now }
func (c *clock) advance(d time.Duration) { c.now = c.now.Add(d) }

// wantLimited expects a refusal with the time until the next token, nil for none.
func wantLimited(t *testing.T, step string, err error, retryAfter int64) {
	t.Helper()
	var e *chat.Error
	switch {
	case retryAfter == 0:
		if err != nil {
			t.Errorf("%s: %v", step, err)
		}
	case !errors.As(err, &e) || e.Kind != chat.RateLimited || e.Op != "test" || e.Text != "too fast" || e.RetryAfter != retryAfter:
		t.Errorf("%s: %+v, want %d ms", step, err, retryAfter)
	}
}

func TestRates(t *testing.T) {
	now := clock{time.Unix(1e9, 0)}
	rejected := prometheus.NewCounter(prometheus.CounterOpts{Name: "rejected"})
	r := NewRates[string](RatesConfig{PerSecond: 4, Burst: 2, Op: "test", Text: "too fast", Rejected: rejected, Now: now.read})
	wantLimited(t, "an unknown key", r.Check("a"), 0)
	if r.Len() != 0 {
		t.Error("Check remembers a key")
	}
	wantLimited(t, "1st", r.Take("a"), 0)
	wantLimited(t, "2nd", r.Take("a"), 0)
	wantLimited(t, "3rd", r.Take("a"), 250)
	wantLimited(t, "another key", r.Take("b"), 0)
	now.advance(100 * time.Millisecond)
	wantLimited(t, "after 0.1 s", r.Take("a"), 150)
	for range 2 {
		wantLimited(t, "asked after 0.1 s", r.Check("a"), 150)
	}
	now.advance(150 * time.Millisecond)
	for range 2 { // spends nothing
		wantLimited(t, "asked after 0.25 s", r.Check("a"), 0)
	}
	wantLimited(t, "after 0.25 s", r.Take("a"), 0)
	wantLimited(t, "and again", r.Take("a"), 250)
	now.advance(time.Hour) // fills the bucket, and no more
	wantLimited(t, "1st later", r.Take("a"), 0)
	wantLimited(t, "2nd later", r.Take("a"), 0)
	wantLimited(t, "3rd later", r.Take("a"), 250)
	reg := prometheus.NewRegistry()
	reg.MustRegister(rejected)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if n := families[0].GetMetric()[0].GetCounter().GetValue(); n != 4 {
		t.Errorf("%v rejected", n)
	}
}

// What a key has left is told without spending it.
func TestBudget(t *testing.T) {
	now := clock{time.Unix(1e9, 0)}
	r := NewRates[string](RatesConfig{PerSecond: 4, Burst: 2, Op: "test", Text: "too fast", Now: now.read})
	want := func(step string, want Budget) {
		t.Helper()
		for range 2 {
			if got, ok := r.Budget("a"); !ok || got != want {
				t.Errorf("%s: %+v, want %+v", step, got, want)
			}
		}
	}
	want("unknown", Budget{2, 2, 0})
	wantLimited(t, "1st", r.Take("a"), 0)
	want("after one", Budget{2, 1, 250 * time.Millisecond})
	wantLimited(t, "2nd", r.Take("a"), 0)
	wantLimited(t, "3rd", r.Take("a"), 250)
	want("after two", Budget{2, 0, 500 * time.Millisecond})
	now.advance(time.Hour)
	want("later", Budget{2, 2, 0})
	if _, ok := NewRates[int](RatesConfig{}).Budget(1); ok {
		t.Error("no limit has a budget")
	}
}

// A rate of 0 bounds nothing and remembers nothing, and a burst is at least 1.
func TestRatesAtTheEdge(t *testing.T) {
	free := NewRates[int](RatesConfig{})
	for range 1000 {
		wantLimited(t, "no limit", errors.Join(free.Take(1), free.Check(1)), 0)
	}
	if free.Len() != 0 {
		t.Error("keys are remembered for nothing")
	}
	r := NewRates[int](RatesConfig{PerSecond: 2000, Op: "test", Text: "too fast", Now: (&clock{time.Unix(1e9, 0)}).read})
	wantLimited(t, "1st", r.Take(1), 0)
	wantLimited(t, "2nd", r.Take(1), 1) // 0.5 ms, and never 0
}

// The memory is bounded, and a key in use is not forgotten for keys that are not.
func TestRatesForgetIdleKeys(t *testing.T) {
	const keys = 1600
	now := clock{time.Unix(1e9, 0)}
	r := NewRates[int](RatesConfig{PerSecond: 0.001, MaxKeys: keys, Op: "test", Text: "too fast", Now: now.read})
	wantLimited(t, "key 0", r.Take(0), 0)
	for i := range 20 * keys {
		if err := r.Take(1 + i); err != nil {
			t.Fatal(err)
		}
		if i%(keys/16) == 0 { // far more often than its stripe is filled
			wantLimited(t, "key 0", r.Check(0), 1_000_000)
		}
	}
	if n := r.Len(); n > 2*keys || n < keys {
		t.Errorf("%d keys are remembered of at most %d", n, 2*keys)
	}
}

func TestRatesConcurrently(t *testing.T) {
	const burst = 100
	r := NewRates[int](RatesConfig{PerSecond: 1, Burst: burst, Now: (&clock{time.Unix(1e9, 0)}).read})
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 10 * burst {
				if r.Check(i%10) == nil && r.Take(i%10) == nil {
					taken.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := taken.Load(); n != 10*burst {
		t.Errorf("%d tokens were taken of %d", n, 10*burst)
	}
}

// What is spent may be more than there is; nothing is taken until it has come back,
// and a key owes no more than its burst.
func TestRatesSpendAhead(t *testing.T) {
	now := time.Unix(1e9, 0)
	r := NewRates[string](RatesConfig{PerSecond: 10, Burst: 100, Now: func() time.Time { return now }})
	for range 10 {
		r.Spend("ann", 1000)
	}
	if err := r.Check("bob"); err != nil {
		t.Errorf("another key: %v", err)
	}
	err := r.Check("ann")
	if chat.KindOf(err) != chat.RateLimited {
		t.Fatalf("after spending more than there was: %v", err)
	}
	wait := time.Duration(chat.Public(err).RetryAfter) * time.Millisecond
	if wait > 11*time.Second {
		t.Errorf("to wait %s for 100 that are owed", wait)
	}
	now = now.Add(wait)
	if err := r.Check("ann"); err != nil {
		t.Errorf("after waiting as told: %v", err)
	}
}
