package wheel

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

type item struct {
	entry   Entry[*item]
	due     time.Duration // returned by advance
	calls   []time.Duration
	onCall  func()
	removed bool
}

func newWheel(tick, round time.Duration) *Wheel[*item] {
	return New(tick, round, func(i *item) *Entry[*item] { return &i.entry }, func(i *item, now time.Duration) time.Duration {
		i.calls = append(i.calls, now)
		if i.onCall != nil {
			i.onCall()
		}
		return i.due
	})
}

// Every item is advanced at the first tick that is not before its deadline, or
// earlier by whole rounds if that is far away; removed ones never.
func TestDeadlines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const tick, round = 10, 200
		w := newWheel(tick, round)
		var all []*item
		duration := rapid.IntRange(0, 3*round)
		var now time.Duration
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				i := &item{due: now + time.Duration(duration.Draw(t, "due"))}
				w.Put(i, i.due)
				all = append(all, i)
			},
			"remove": func(t *rapid.T) {
				if len(all) > 0 {
					i := all[rapid.IntRange(0, len(all)-1).Draw(t, "which")]
					w.Remove(i)
					i.removed = true
				}
			},
			"advance": func(t *rapid.T) {
				from := now
				now += time.Duration(rapid.IntRange(0, 2*round).Draw(t, "by"))
				for _, i := range all {
					i.calls = nil
				}
				w.Advance(now)
				for _, i := range all {
					check(t, i, from, now, w.Now())
					i.due = max(i.due, now+time.Duration(duration.Draw(t, "next")))
				}
			},
			"": func(t *rapid.T) {
				in := w.All()
				for _, i := range all {
					if slices.Contains(in, i) == i.removed {
						t.Fatal("All has items that were removed, or misses some")
					}
				}
			},
		})
	})
}

func check(t *rapid.T, i *item, from, to, ticked time.Duration) {
	switch {
	case i.removed && len(i.calls) > 0:
		t.Fatal("a removed item was advanced")
	case i.removed:
	case len(i.calls) > 1:
		t.Fatalf("advanced at %v", i.calls)
	case i.due <= ticked && i.due > from && len(i.calls) == 0:
		t.Fatalf("due at %v, now is %v (%v): not advanced", i.due, to, ticked)
	}
}

// Deadlines are rounded up to ticks, and those further away than a round cost one
// call a round.
func TestNeverEarly(t *testing.T) {
	w := newWheel(10, 100)
	near, far := &item{due: 95}, &item{due: 1005}
	w.Put(near, 25)
	w.Put(far, far.due)
	for now := range time.Duration(1010) {
		w.Advance(now)
		if want := map[time.Duration]int{29: 0, 30: 1, 99: 1, 100: 2}; now <= 100 {
			if n, known := want[now]; known && len(near.calls) != n {
				t.Fatalf("at %d: advanced at %v", now, near.calls)
			}
		}
	}
	if len(far.calls) > 10 {
		t.Errorf("%d calls before a far deadline", len(far.calls))
	}
	if w.Advance(1010); far.calls[len(far.calls)-1] != 1010 {
		t.Errorf("advanced at %v", far.calls)
	}
}

// An item that is advanced may be removed meanwhile, and is seen by All.
func TestRemoveWhileAdvancing(t *testing.T) {
	w := newWheel(1, 10)
	a, b := &item{due: 2}, &item{due: 2}
	w.Put(a, 1)
	w.Put(b, 1)
	b.onCall = func() {
		if len(w.All()) != 2 {
			t.Errorf("%d items", len(w.All()))
		}
		w.Remove(a)
		w.Remove(b)
		w.Remove(b)
	}
	for now := range time.Duration(30) {
		w.Advance(now)
	}
	if len(b.calls) != 1 || len(w.All()) != 0 {
		t.Errorf("%v, %d items are left", b.calls, len(w.All()))
	}
}

// Run advances in time until it is ended.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWheel(time.Second, time.Minute)
		begin := time.Now()
		done, ended := make(chan struct{}), make(chan struct{})
		i := &item{due: 90 * time.Second}
		i.onCall = func() {
			if time.Since(begin) >= i.due {
				close(done)
			}
		}
		w.Put(i, i.due)
		go func() {
			defer close(ended)
			w.Run(done, func() { w.Advance(time.Since(begin)) })
		}()
		<-ended
		if d := time.Since(begin); d != i.due || w.Now() != i.due {
			t.Errorf("ended after %v", d)
		}
	})
}

// Waiting allocates nothing.
func TestCosts(t *testing.T) {
	w := newWheel(1, 100)
	w.advance = func(_ *item, now time.Duration) time.Duration { return now + 50 }
	for n := range 1000 {
		w.Put(new(item), time.Duration(n%50))
	}
	now := w.Now()
	for ; now < 200; now++ {
		w.Advance(now)
	}
	if n := testing.AllocsPerRun(100, func() { now++; w.Advance(now) }); n != 0 {
		t.Errorf("%v allocations a tick", n)
	}
}
