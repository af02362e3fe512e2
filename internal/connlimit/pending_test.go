package connlimit

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
)

// The oldest is ended: of its network while that has its share, else of the network
// that has most.
func TestPending(t *testing.T) {
	flood, honest, local := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32"), netip.Prefix{}
	p := NewPending(6, 3)
	var ended []string
	enter := func(from netip.Prefix, name string) *Place {
		return p.Enter(from, func() { ended = append(ended, name) })
	}
	want := func(names ...string) {
		t.Helper()
		if !slices.Equal(ended, names) {
			t.Errorf("ended %v, want %v", ended, names)
		}
		ended = nil
	}
	h := enter(honest, "h")
	enter(flood, "1")
	second := enter(flood, "2")
	enter(flood, "3")
	want()
	enter(flood, "4")
	want("1")
	second.Leave()
	second.Leave()
	enter(flood, "5")
	want()
	enter(local, "a")
	enter(local, "b")
	want() // six
	enter(netip.MustParsePrefix("192.0.2.3/32"), "other")
	want("3")
	for _, name := range []string{"c", "d", "e", "f"} { // as many as there is room, in all
		enter(local, name)
	}
	if len(ended) != 4 || slices.Contains(ended, "h") {
		t.Errorf("ended %v", ended)
	}
	h.Leave()
	if p.InUse() != 5 || p.Evicted() != 6 {
		t.Errorf("%d in use, %d evicted", p.InUse(), p.Evicted())
	}
}

func TestPendingWithoutLimits(t *testing.T) {
	p := NewPending(0, 0)
	for range 1000 {
		p.Enter(netip.MustParsePrefix("192.0.2.1/32"), func() { t.Error("ended") })
	}
}

func TestPendingTogether(t *testing.T) {
	p := NewPending(10, 5)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			from := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 4)}), 32)
			for range 100 {
				place := p.Enter(from, func() {})
				if p.InUse() > 10 {
					t.Error("too many")
				}
				place.Leave()
			}
		})
	}
	all.Wait()
	if p.InUse() != 0 || len(p.by) != 0 {
		t.Errorf("%d in use", p.InUse())
	}
}
