package outbox_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/store"
)

// divided is a consumer with two targets, which have the entries in turn.
type divided struct {
	size int // of each part

	mu     sync.Mutex
	failed [2]bool // what the targets do
	seen   int     // entries that were divided
	got    [2][]int64
	tries  [2]int
}

func (d *divided) consumer() outbox.Consumer {
	return outbox.Consumer{Name: "divided", Parts: func(_ context.Context, _ int, e *store.Entry) ([]outbox.Part, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		target, position := d.seen%2, e.Position
		d.seen++
		return []outbox.Part{{Target: target, Size: d.size, Do: func(context.Context) error { return d.do(target, position) }}}, nil
	}}
}

func (d *divided) do(target int, position int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tries[target]++
	if d.failed[target] {
		return errors.New("down")
	}
	d.got[target] = append(d.got[target], position)
	return nil
}

func (d *divided) set(target int, failed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed[target] = failed
}

func (d *divided) have(target int) []int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.got[target])
}

// await asks until it is so.
func (w *world) await(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatal("not within 30 s: ", what)
		}
	}
}

// A target that fails holds up no other and gets its own in order, also after a restart,
// for which the cursor stands before what was not done.
func TestTargetsAreApart(t *testing.T) {
	w := newWorld(t, 1)
	d := &divided{}
	d.set(1, true)
	w.start(d.consumer())
	w.write(40)
	w.await("the other target has its entries", func() bool { return len(d.have(0)) == 20 })
	if lag := w.metric("roomtide_outbox_lag", "divided"); lag < 38 {
		t.Errorf("the lag is %v: the consumer does not stand at what is not done", lag)
	}
	if n := w.metric("roomtide_outbox_failures_total", "divided"); n == 0 {
		t.Error("no failure is counted")
	}
	w.stop()
	first := d.have(0)
	d.mu.Lock()
	d.failed, d.seen, d.got = [2]bool{}, 1, [2][]int64{} // begins with an entry of the second target
	d.mu.Unlock()
	w.start(d.consumer())
	w.await("all is done", func() bool { return len(d.have(0)) == 19 && len(d.have(1)) == 20 })
	if again := d.have(0); !slices.Equal(again, first[1:]) {
		t.Errorf("delivered again: %v, of %v", again, first)
	}
	if got := d.have(1); !slices.IsSorted(got) {
		t.Errorf("out of order: %v", got)
	}
	w.stop()
}

// What waits for a target that fails is bounded: the consumer reads no further, and goes
// on when there is space again.
func TestFullTarget(t *testing.T) {
	w := newWorld(t, 1)
	d := &divided{size: 1 << 20}
	d.set(1, true)
	w.start(d.consumer())
	w.write(40)
	w.await("it tries", func() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.tries[1] > 3 })
	w.await("the other target has what was read", func() bool { d.mu.Lock(); defer d.mu.Unlock(); return len(d.got[0]) == (d.seen+1)/2 && d.seen >= 7 })
	if n := len(d.have(0)); n > 5 {
		t.Errorf("%d entries of the other target were read, with 4 MiB that wait", n)
	}
	d.set(1, false)
	w.await("all is done", func() bool { return len(d.have(0)) == 20 && len(d.have(1)) == 20 })
	for target := range 2 {
		if got := d.have(target); !slices.IsSorted(got) {
			t.Errorf("target %d: out of order: %v", target, got)
		}
	}
	d.set(1, true)
	w.write(40)
	w.stop() // what fails is given up
	if n := len(d.have(0)); n != 40 {
		t.Errorf("at the end the other target has %d", n)
	}
}
