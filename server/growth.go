package server

import (
	"runtime/debug"
	"sync"
)

// The garbage of handshakes and joins lies between what their connections keep,
// and those places stay resident when it is collected: the more of it there was
// at a time, the more. So while a node takes in more connections than it ever
// had, garbage is collected twice as often. A collection of a small heap costs
// more than it is worth, so this begins with some thousands. It costs nothing when
// those who were here before come back. See docs/decisions/0006-idle-connections.md.
const (
	growingFrom = 4000
	growingBy   = 200 // connections between two looks, beyond the most there were
	growingGOGC = 50
)

// growth notices when a node grows.
type growth struct {
	most   int // connections there ever were
	thrift bool
}

// look is told how many connections there are now.
func (g *growth) look(conns int) {
	grows := conns >= max(growingFrom, g.most+growingBy)
	g.most = max(g.most, conns)
	if grows != g.thrift {
		g.thrift = grows
		thrift.want(grows)
	}
}

// end is for a node that ends.
func (g *growth) end() {
	if g.thrift {
		thrift.want(false)
	}
}

// thrift is the process's: there may be several nodes in it, in tests.
var thrift gcPercent

// gcPercent is growingGOGC while somebody wants it, unless the usual is less.
type gcPercent struct {
	mu     sync.Mutex
	wanted int
	usual  int
}

func (p *gcPercent) want(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if on {
		if p.wanted++; p.wanted > 1 {
			return
		}
		p.usual = debug.SetGCPercent(growingGOGC)
		if p.usual < growingGOGC { // collections may be off, too
			debug.SetGCPercent(p.usual)
		}
	} else if p.wanted--; p.wanted == 0 {
		debug.SetGCPercent(p.usual)
	}
}
