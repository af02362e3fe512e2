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

// Two have their turn, three wait in order, the sixth is told to come again.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		q := New(Config{Name: "joins", AtOnce: 2, Waiting: 3, Registerer: reg})
		var order []int
		next := make(chan struct{})
		for i := range 5 {
			go func() {
				if err := q.Enter(t.Context()); err != nil {
					t.Error(i, err)
					return
				}
				order = append(order, i) // one at a time: next lets them
				<-next
				q.Leave()
			}()
			synctest.Wait()
		}
		wantBusy(t, q.Enter(t.Context()))
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
	if !errors.As(err, &e) || e.Kind != chat.Busy || e.Text != "too many joins at once" || e.RetryAfter < after || e.RetryAfter >= after+spread {
		t.Errorf("a full queue says %v", err)
	}
}

func wantMetrics(t *testing.T, reg *prometheus.Registry, running, waiting, putOff float64) {
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
	for name, want := range map[string]float64{"roomtide_joins_running": running, "roomtide_joins_waiting": waiting, "roomtide_joins_put_off_total": putOff} {
		if v, there := got[name]; !there || v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
}

// Who is put off must not all come back at the same time.
func TestSpread(t *testing.T) {
	q := New(Config{AtOnce: 1, Waiting: -1})
	if err := q.Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	quarters := [4]int{}
	for range 400 {
		var e *chat.Error
		if err := q.Enter(t.Context()); !errors.As(err, &e) {
			t.Fatal(err)
		}
		quarters[(e.RetryAfter-after)*4/spread]++
	}
	if slices.Min(quarters[:]) < 50 {
		t.Errorf("come again in the quarters of the time: %v", quarters)
	}
}

// Waiting ends with the context and gives the place in the queue back.
func TestCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Config{Name: "joins", AtOnce: 1, Waiting: 1})
		if err := q.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		err := make(chan error)
		go func() { err <- q.Enter(ctx) }()
		synctest.Wait()
		cancel()
		if e := <-err; chat.KindOf(e) != chat.Unavailable || !errors.Is(e, context.Canceled) || !strings.HasPrefix(e.Error(), "joins") {
			t.Errorf("cancelled: %v", e)
		}
		if q.waiting.Load() != 0 {
			t.Error("still waiting")
		}
		q.Leave()
		if err := q.Enter(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Who waits aside holds nobody up, has the turn again afterwards, and is counted:
// the third is refused and keeps the turn.
func TestAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		q := New(Config{Name: "joins", AtOnce: 1, Waiting: 2, Registerer: reg})
		answer := make(chan struct{})
		for range 2 {
			go func() {
				if err := q.Enter(t.Context()); err != nil {
					t.Error(err)
				}
				if err := q.Aside(func() { <-answer }); err != nil {
					t.Error(err)
				}
				if len(q.turns) != 1 {
					t.Error("back without the turn")
				}
				q.Leave()
			}()
			synctest.Wait()
		}
		if err := q.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantBusy(t, q.Aside(func() { t.Error("waits though it was refused") }))
		wantMetrics(t, reg, 1, 2, 1)
		close(answer)
		synctest.Wait()
		wantMetrics(t, reg, 1, 2, 1) // both want the turn that is still taken
		q.Leave()
		synctest.Wait()
		wantMetrics(t, reg, 0, 0, 1)
	})
}

// A panic aside ends a turn once, as any other.
func TestAsidePanics(t *testing.T) {
	q := New(Config{AtOnce: 1})
	func() {
		defer func() { recover() }()
		if err := q.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer q.Leave()
		q.Aside(func() { panic("x") })
	}()
	if len(q.turns) != 0 || q.aside.Load() != 0 {
		t.Errorf("%d turns, %d aside", len(q.turns), q.aside.Load())
	}
}
