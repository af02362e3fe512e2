package limit

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
)

// line is which callers of a Pace have passed, and when.
type line struct {
	mu     sync.Mutex
	passed []string
	times  []time.Duration
	begin  time.Time
}

func (l *line) enter(ctx context.Context, p *Pace[string], key, name string) (cancel func()) {
	ctx, cancel = context.WithCancel(ctx)
	go func() {
		if p.Wait(ctx, key) == nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.passed = append(l.passed, name)
			l.times = append(l.times, time.Since(l.begin))
		}
	}()
	synctest.Wait()
	return cancel
}

// Callers pass at the rate. One key's crowd makes another wait for a single caller of
// it, and callers without a key wait for neither.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPace[string](PaceConfig{Name: "handshakes", PerSecond: 10, Burst: 2, Registerer: prometheus.NewRegistry()})
		l := &line{begin: time.Now()}
		for i := range 6 {
			l.enter(t.Context(), p, "crowd", fmt.Sprint("crowd", i))
		}
		l.enter(t.Context(), p, "honest", "honest0")
		l.enter(t.Context(), p, "honest", "honest1")
		l.enter(t.Context(), p, "", "local0")
		l.enter(t.Context(), p, "", "local1")
		if p.Waiting() != 8 {
			t.Errorf("%d wait", p.Waiting())
		}
		time.Sleep(time.Minute) // of the bubble
		synctest.Wait()
		want := []string{"crowd0", "crowd1", "crowd2", "honest0", "local0", "local1", "crowd3", "honest1", "crowd4", "crowd5"}
		if !slices.Equal(l.passed, want) {
			t.Errorf("passed %v, want %v", l.passed, want)
		}
		for i, d := range l.times {
			if want := max(0, time.Duration(i-1)) * 100 * time.Millisecond; d != want {
				t.Errorf("number %d passed after %v, want %v", i, d, want)
			}
		}
		if p.Waiting() != 0 || len(p.flows) != 0 || p.turns.Len() != 0 || p.ticking {
			t.Errorf("left behind: %d, %v", p.Waiting(), p.flows)
		}
	})
}

// A caller that went away while it waited spends nothing: the next one passes at the
// same time as if it had never come.
func TestPaceOfCallersThatLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPace[string](PaceConfig{PerSecond: 10, Burst: 1})
		l := &line{begin: time.Now()}
		l.enter(t.Context(), p, "a", "first")
		for range 1000 {
			l.enter(t.Context(), p, "dead", "dead")()
		}
		l.enter(t.Context(), p, "a", "second")
		l.enter(t.Context(), p, "a", "third")
		time.Sleep(time.Minute)
		synctest.Wait()
		if !slices.Equal(l.passed, []string{"first", "second", "third"}) || l.times[1] != 100*time.Millisecond || l.times[2] != 200*time.Millisecond {
			t.Errorf("%v after %v", l.passed, l.times)
		}
		if len(p.flows) != 0 {
			t.Errorf("left behind: %v", p.flows)
		}
		if err := p.Wait(t.Context(), "late"); err != nil {
			t.Error(err)
		}
	})
}

// Too many are rejected: of one key, which leaves room for others, and in all.
func TestPaceRejects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPace[string](PaceConfig{Name: "joins", PerSecond: .01, MaxWaiting: 3, PerKey: 2})
		l := &line{}
		for range 3 { // one passes
			l.enter(t.Context(), p, "a", "a")
		}
		wantBusy(t, p.Wait(t.Context(), "a"))
		cancel := l.enter(t.Context(), p, "b", "b")
		wantBusy(t, p.Wait(t.Context(), "c"))
		wantBusy(t, p.Wait(t.Context(), ""))
		cancel()
		synctest.Wait()
		l.enter(t.Context(), p, "c", "c")
		if p.Waiting() != 3 || len(p.flows) != 2 {
			t.Errorf("%d wait, %v", p.Waiting(), p.flows)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := NewPace[string](PaceConfig{PerSecond: .01}).Wait(ctx, "a"); err != nil {
			t.Errorf("the first: %v", err)
		}
		if err := p.Wait(ctx, "d"); chat.KindOf(err) != chat.Busy {
			t.Error(err)
		}
	})
}
