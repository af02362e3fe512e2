// Package connlimit bounds the number of connections, in all and for each client
// network: Limiter refuses what is too much, Pending ends the oldest.
package connlimit

import (
	"net/http"
	"net/netip"
	"sync"
)

// Limiter counts connections against two bounds: of the node and of one client
// network. The zero Prefix has no bound of its own (clientaddr.Proxies.Network).
// Transports that share a Limiter share its bounds; Limiters of several nodes share that
// of a network (Tell, Hear). It is safe for concurrent use.
type Limiter struct {
	// Set once; 0 is no limit.
	max        int
	perNetwork int

	mu sync.Mutex

	// Guarded by mu.
	inUse int
	by    map[netip.Prefix]int
	told  map[netip.Prefix]struct{} // the networks that Tell tells
	nodes map[string]elsewhere      // by node: what was heard of others
}

// New makes a Limiter with max places, of which one network gets perNetwork.
// Zero is no limit.
func New(max, perNetwork int) *Limiter {
	return &Limiter{
		max: max, perNetwork: perNetwork, by: map[netip.Prefix]int{},
		told: map[netip.Prefix]struct{}{}, nodes: map[string]elsewhere{},
	}
}

// Acquire takes a place for a network (clientaddr.Network). A refusal has a
// reason, as a label for metrics, and the HTTP status to answer with; otherwise
// status is 0 and the caller must Release the place.
func (l *Limiter) Acquire(from netip.Prefix) (reason string, status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if reason, status = l.full(from); status == 0 {
		l.inUse++
		l.by[from]++
		l.weigh(from)
	}
	return reason, status
}

// Check returns what Acquire would return, and takes no place.
func (l *Limiter) Check(from netip.Prefix) (reason string, status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.full(from)
}

func (l *Limiter) full(from netip.Prefix) (reason string, status int) {
	switch {
	case l.max > 0 && l.inUse >= l.max:
		return "full", http.StatusServiceUnavailable
	case l.perNetwork > 0 && from.IsValid() && l.by[from]+l.elsewhere(from) >= l.perNetwork:
		return "per_ip", http.StatusTooManyRequests
	}
	return "", 0
}

// InUse returns the number of places taken.
func (l *Limiter) InUse() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inUse
}

// Release returns a place that Acquire gave.
func (l *Limiter) Release(from netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inUse--
	if l.by[from]--; l.by[from] == 0 {
		delete(l.by, from)
	}
	l.weigh(from)
}
