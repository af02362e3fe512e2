package webpeer

import (
	"net/http"
	"net/netip"
	"sync"
)

// Gate gives out places for connections: so many in all, and so many for one
// network. Transports that share a Gate share its bounds.
type Gate struct {
	// Set once; 0 is no limit.
	max        int
	perNetwork int

	mu    sync.Mutex
	taken int
	by    map[netip.Prefix]int
}

// NewGate makes a Gate with max places, of which one network gets perNetwork.
// Zero is no limit.
func NewGate(max, perNetwork int) *Gate {
	return &Gate{max: max, perNetwork: perNetwork, by: make(map[netip.Prefix]int)}
}

// Enter takes a place for the network (see Network), or says why there is none:
// a word for metrics, and the HTTP status to refuse with. Whoever got a place
// gives it back with Leave.
func (g *Gate) Enter(from netip.Prefix) (why string, status int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if why, status = g.full(from); status == 0 {
		g.taken++
		g.by[from]++
	}
	return why, status
}

// Full says what Enter would say and takes nothing.
func (g *Gate) Full(from netip.Prefix) (why string, status int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.full(from)
}

func (g *Gate) full(from netip.Prefix) (why string, status int) {
	switch {
	case g.max > 0 && g.taken >= g.max:
		return "full", http.StatusServiceUnavailable
	case g.perNetwork > 0 && g.by[from] >= g.perNetwork:
		return "per_ip", http.StatusTooManyRequests
	}
	return "", 0
}

// Taken is how many places are taken.
func (g *Gate) Taken() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.taken
}

// Leave gives a place back.
func (g *Gate) Leave(from netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.taken--
	if g.by[from]--; g.by[from] == 0 {
		delete(g.by, from)
	}
}
