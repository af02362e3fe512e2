package connlimit

import (
	"maps"
	"net/netip"
	"time"
)

// Nodes count a network together by telling each other, again and again, how many
// connections it has on each. A network with few connections is not told, so one may have,
// with N nodes, up to (N-1)*(tellFrom-1) connections more than it should, and what it opens
// before the others hear of it.
const (
	tellShares = 16      // a network is told that has a 16th of what it may have
	tellLeast  = 2       // connections of a network that is told: most have one
	maxTold    = 4 << 10 // networks that a node tells; further ones are counted on each node alone

	// HeardFor is how long what a node has told counts, unless it tells again.
	HeardFor = 3 * time.Second
)

// elsewhere is what one other node has told.
type elsewhere struct {
	conns map[netip.Prefix]int
	at    time.Time
}

// tellFrom is how many connections a network has here that is told.
func (l *Limiter) tellFrom() int { return max(tellLeast, l.perNetwork/tellShares) }

// weigh notes whether a network, whose number has changed, is one to be told. mu is held.
func (l *Limiter) weigh(from netip.Prefix) {
	switch {
	case l.perNetwork == 0 || !from.IsValid():
	case l.by[from] < l.tellFrom():
		delete(l.told, from)
	case len(l.told) < maxTold:
		l.told[from] = struct{}{}
	}
}

// elsewhere is how many connections a network has on other nodes. mu is held.
func (l *Limiter) elsewhere(from netip.Prefix) (n int) {
	for _, node := range l.nodes {
		if time.Since(node.at) < HeardFor {
			n += node.conns[from]
		}
	}
	return n
}

// Tell returns the networks that have many connections here, for Hear of all other nodes.
// It is to be told again within HeardFor.
func (l *Limiter) Tell() map[netip.Prefix]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[netip.Prefix]int, len(l.told))
	for from := range l.told {
		all[from] = l.by[from]
	}
	return all
}

// Hear takes what another node tells, in the place of what it has told before. It keeps
// conns.
func (l *Limiter) Hear(node string, conns map[netip.Prefix]int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.nodes, func(_ string, e elsewhere) bool { return time.Since(e.at) >= HeardFor })
	if len(conns) == 0 {
		delete(l.nodes, node)
		return
	}
	l.nodes[node] = elsewhere{conns, time.Now()}
}
