package webpeer

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
)

func TestGate(t *testing.T) {
	here, there := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/64")
	g := NewGate(3, 2)
	for _, step := range []struct {
		from   netip.Prefix
		why    string
		status int
	}{{here, "", 0}, {here, "", 0}, {here, "per_ip", 429}, {there, "", 0}, {there, "full", 503}, {here, "full", 503}} {
		if why, status := g.Full(step.from); why != step.why || status != step.status {
			t.Errorf("Full(%v) = %q %d, want %q %d", step.from, why, status, step.why, step.status)
		}
		if why, status := g.Enter(step.from); why != step.why || status != step.status {
			t.Errorf("Enter(%v) = %q %d, want %q %d", step.from, why, status, step.why, step.status)
		}
	}
	for _, from := range []netip.Prefix{here, there, here} {
		g.Leave(from)
	}
	if g.taken != 0 || len(g.by) != 0 {
		t.Errorf("%d places taken, %v", g.taken, g.by)
	}
}

func TestGateWithoutLimits(t *testing.T) {
	g := NewGate(0, 0)
	for range 1000 {
		if why, _ := g.Enter(netip.Prefix{}); why != "" {
			t.Fatal(why)
		}
	}
}

// The bounds hold whoever comes at the same time.
func TestGateTogether(t *testing.T) {
	g := NewGate(10, 0)
	var in atomic.Int32
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if _, status := g.Enter(netip.Prefix{}); status == 0 {
				in.Add(1)
			}
		})
	}
	all.Wait()
	if in.Load() != 10 {
		t.Errorf("%d got a place, want 10", in.Load())
	}
}
