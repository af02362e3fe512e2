package engine

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
)

// Two run, three wait in order, the sixth is told to come again.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(Pace{AtOnce: 2, Queue: 3}, 1, prometheus.NewRegistry())
		var order []int
		next := make(chan struct{})
		for i := range 5 {
			go func() {
				if err := p.enter(t.Context()); err != nil {
					t.Error(i, err)
					return
				}
				order = append(order, i) // one at a time: next lets them
				<-next
				p.leave()
			}()
			synctest.Wait()
		}
		if len(order) != 2 || p.waiting.Load() != 3 {
			t.Fatalf("%v run, %d wait", order, p.waiting.Load())
		}
		var e *chat.Error
		if err := p.enter(t.Context()); !errors.As(err, &e) || e.Kind != chat.Busy || e.RetryAfter < paceAfter || e.RetryAfter >= paceAfter+paceSpread {
			t.Errorf("a full queue says %v", err)
		}
		for range 5 {
			next <- struct{}{}
			synctest.Wait()
		}
		if want := []int{0, 1, 2, 3, 4}; !slices.Equal(order, want) || p.waiting.Load() != 0 || len(p.running) != 0 {
			t.Errorf("order %v, %d wait, %d run", order, p.waiting.Load(), len(p.running))
		}
	})
}

// Who is put off must not all come back at the same time.
func TestPaceSpreads(t *testing.T) {
	p := newPace(Pace{AtOnce: 1, Queue: 1}, 1, nil)
	p.queue = 0
	if err := p.enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	quarters := [4]int{}
	for range 400 {
		var e *chat.Error
		if err := p.enter(t.Context()); !errors.As(err, &e) {
			t.Fatal(err)
		}
		quarters[(e.RetryAfter-paceAfter)*4/paceSpread]++
	}
	if slices.Min(quarters[:]) < 50 {
		t.Errorf("come again in the quarters of the time: %v", quarters)
	}
}

// Waiting ends with the context and gives the place in the queue back.
func TestPaceCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(Pace{AtOnce: 1, Queue: 1}, 1, nil)
		if err := p.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		err := make(chan error)
		go func() { err <- p.enter(ctx) }()
		synctest.Wait()
		cancel()
		if e := <-err; chat.KindOf(e) != chat.Unavailable || !errors.Is(e, context.Canceled) {
			t.Errorf("cancelled: %v", e)
		}
		if p.waiting.Load() != 0 {
			t.Error("still waiting")
		}
		p.leave()
		if err := p.enter(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
