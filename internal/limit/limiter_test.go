package limit

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
)

// Two callers have a permit, three wait in order, the sixth is rejected.
func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		l := New(Config{Name: "joins", Permits: 2, MaxWaiting: 3, Registerer: reg})
		var order []int
		next := make(chan struct{})
		for i := range 5 {
			go func() {
				if err := l.Acquire(t.Context()); err != nil {
					t.Error(i, err)
					return
				}
				order = append(order, i) // one at a time: next starts each
				<-next
				l.Release()
			}()
			synctest.Wait()
		}
		wantBusy(t, l.Acquire(t.Context()))
		wantMetrics(t, reg, 2, 3, 1)
		for range 5 {
			next <- struct{}{}
			synctest.Wait()
		}
		if want := []int{0, 1, 2, 3, 4}; !slices.Equal(order, want) {
			t.Errorf("order %v", order)
		}
		wantMetrics(t, reg, 0, 0, 1)
	})
}

func wantBusy(t *testing.T, err error) {
	t.Helper()
	var e *chat.Error
	if !errors.As(err, &e) || e.Kind != chat.Busy || e.Text != "too many joins at once" || e.RetryAfter < retryMin || e.RetryAfter >= retryMin+retrySpread {
		t.Errorf("a full limiter says %v", err)
	}
}

func wantMetrics(t *testing.T, reg *prometheus.Registry, running, waiting, rejected float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		m := f.GetMetric()[0]
		got[f.GetName()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
	for name, want := range map[string]float64{"roomtide_joins_running": running, "roomtide_joins_waiting": waiting, "roomtide_joins_rejected_total": rejected} {
		if v, there := got[name]; !there || v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
}

// Rejected callers are spread over the time in which they come back.
func TestRetriesAreSpread(t *testing.T) {
	l := New(Config{Permits: 1, MaxWaiting: -1})
	if err := l.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	quarters := [4]int{}
	for range 400 {
		var e *chat.Error
		if err := l.Acquire(t.Context()); !errors.As(err, &e) {
			t.Fatal(err)
		}
		quarters[(e.RetryAfter-retryMin)*4/retrySpread]++
	}
	if slices.Min(quarters[:]) < 50 {
		t.Errorf("retries in the quarters of the time: %v", quarters)
	}
}

// Waiting ends with the context, and is no longer counted.
func TestCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{Name: "joins", Permits: 1, MaxWaiting: 1})
		if err := l.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		err := make(chan error)
		go func() { err <- l.Acquire(ctx) }()
		synctest.Wait()
		cancel()
		if e := <-err; chat.KindOf(e) != chat.Unavailable || !errors.Is(e, context.Canceled) || !strings.HasPrefix(e.Error(), "joins") {
			t.Errorf("cancelled: %v", e)
		}
		if l.waiting.Load() != 0 {
			t.Error("still waiting")
		}
		l.Release()
		if err := l.Acquire(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A permit that was yielded serves another caller, is taken again afterwards, and is
// counted: the third Yield is rejected and keeps its permit.
func TestYield(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		l := New(Config{Name: "joins", Permits: 1, MaxWaiting: 2, Registerer: reg})
		answer := make(chan struct{})
		for range 2 {
			go func() {
				if err := l.Acquire(t.Context()); err != nil {
					t.Error(err)
				}
				if err := l.Yield(func() { <-answer }); err != nil {
					t.Error(err)
				}
				if len(l.permits) != 1 {
					t.Error("Yield returned without a permit")
				}
				l.Release()
			}()
			synctest.Wait()
		}
		if err := l.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantBusy(t, l.Yield(func() { t.Error("wait was called though Yield is rejected") }))
		wantMetrics(t, reg, 1, 2, 1)
		close(answer)
		synctest.Wait()
		wantMetrics(t, reg, 1, 2, 1) // both wait for the permit that is still held
		l.Release()
		synctest.Wait()
		wantMetrics(t, reg, 0, 0, 1)
	})
}

// A panic in wait leaves no permit held, and none released twice.
func TestYieldPanics(t *testing.T) {
	l := New(Config{Permits: 1})
	func() {
		defer func() { recover() }()
		if err := l.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer l.Release()
		l.Yield(func() { panic("x") })
	}()
	if len(l.permits) != 0 || l.yielded.Load() != 0 {
		t.Errorf("%d permits held, %d yielded", len(l.permits), l.yielded.Load())
	}
}
