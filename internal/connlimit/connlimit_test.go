package connlimit

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
)

func TestLimiter(t *testing.T) {
	here, there := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/64")
	l := New(3, 2)
	for _, step := range []struct {
		from   netip.Prefix
		reason string
		status int
	}{{here, "", 0}, {here, "", 0}, {here, "per_ip", 429}, {there, "", 0}, {there, "full", 503}, {here, "full", 503}} {
		if reason, status := l.Check(step.from); reason != step.reason || status != step.status {
			t.Errorf("Check(%v) = %q %d, want %q %d", step.from, reason, status, step.reason, step.status)
		}
		if reason, status := l.Acquire(step.from); reason != step.reason || status != step.status {
			t.Errorf("Acquire(%v) = %q %d, want %q %d", step.from, reason, status, step.reason, step.status)
		}
	}
	for _, from := range []netip.Prefix{here, there, here} {
		l.Release(from)
	}
	if l.inUse != 0 || len(l.by) != 0 {
		t.Errorf("%d places inUse, %v", l.inUse, l.by)
	}
}

func TestLimiterWithoutLimits(t *testing.T) {
	l := New(0, 0)
	for range 1000 {
		if reason, _ := l.Acquire(netip.Prefix{}); reason != "" {
			t.Fatal(reason)
		}
	}
}

// An address behind which there are any number of clients has no bound of its own.
func TestLimiterWithoutNetwork(t *testing.T) {
	l := New(3, 1)
	for _, want := range []string{"", "", "", "full"} {
		if reason, _ := l.Acquire(netip.Prefix{}); reason != want {
			t.Errorf("%q, want %q", reason, want)
		}
	}
}

// The bounds hold while connections come at the same time.
func TestLimiterTogether(t *testing.T) {
	l := New(10, 0)
	var in atomic.Int32
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if _, status := l.Acquire(netip.Prefix{}); status == 0 {
				in.Add(1)
			}
		})
	}
	all.Wait()
	if in.Load() != 10 {
		t.Errorf("%d got a place, want 10", in.Load())
	}
}
