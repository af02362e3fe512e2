package connlimit

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// A network has its connections of all nodes together, as long as they tell.
func TestNodesCountTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there, local := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32"), netip.Prefix{}
		a, b, c := New(100, 32), New(100, 32), New(100, 32)
		acquire := func(l *Limiter, from netip.Prefix, n int) {
			t.Helper()
			for i := range n {
				if reason, status := l.Acquire(from); status != 0 {
					t.Fatalf("%d of %d: %s", i, n, reason)
				}
			}
		}
		refused := func(l *Limiter, from netip.Prefix) {
			t.Helper()
			if reason, status := l.Check(from); reason != "per_ip" || status != 429 {
				t.Errorf("%q %d, want too many of a network", reason, status)
			}
		}
		acquire(a, here, 20)
		acquire(a, there, 1)
		acquire(a, local, 40)
		acquire(b, here, 5)
		told := a.Tell()
		if len(told) != 1 || told[here] != 20 {
			t.Errorf("a tells %v, want 20 of %v alone", told, here)
		}
		c.Hear("a", told)
		c.Hear("b", b.Tell())
		acquire(c, here, 7)
		refused(c, here)
		acquire(c, there, 32)
		acquire(c, local, 1)
		for range 18 { // two are left, of as many that are told
			a.Release(here)
		}
		c.Hear("a", a.Tell())
		acquire(c, here, 18)
		refused(c, here)
		a.Release(here)
		if told = a.Tell(); len(told) != 0 {
			t.Errorf("a tells %v", told)
		}
		c.Hear("a", told)
		acquire(c, here, 2)
		refused(c, here)
		time.Sleep(HeardFor) // b tells no more: it has ended
		acquire(c, here, 5)
		refused(c, here)
		c.Hear("b", b.Tell())
		if len(c.nodes) != 1 {
			t.Errorf("%d nodes are remembered", len(c.nodes))
		}
	})
}

// A node tells so many networks and no more.
func TestTellIsBounded(t *testing.T) {
	l := New(0, 4)
	for i := range maxTold + 10 {
		from := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
		for range 2 {
			l.Acquire(from)
		}
	}
	if n := len(l.Tell()); n != maxTold {
		t.Errorf("%d networks", n)
	}
}
