package memtune

import (
	"runtime/debug"
	"sync"
)

// The garbage of handshakes and joins lies between what their connections keep,
// and those pages stay resident when it is collected: the more garbage there was
// at a time, the more pages. So while a node takes in more connections than it
// ever had, garbage is collected twice as often. A collection of a small heap costs
// more than it is worth, so this begins with some thousands of connections. It
// costs nothing when connections that were cut off come back.
const (
	growthFrom = 4000 // connections
	growthStep = 200  // connections between two checks, beyond the most there were
	growthGOGC = 50
)

// gcTuner notices when the number of connections of a node grows. Not safe for
// concurrent use.
type gcTuner struct {
	gc      *gcPercent
	most    int  // connections there ever were
	growing bool // gc is lowered for this node
}

// update is told how many connections there are now.
func (t *gcTuner) update(conns int) {
	growing := conns >= max(growthFrom, t.most+growthStep)
	t.most = max(t.most, conns)
	t.set(growing)
}

// stop undoes what update did.
func (t *gcTuner) stop() { t.set(false) }

func (t *gcTuner) set(growing bool) {
	switch {
	case growing && !t.growing:
		t.gc.lower()
	case !growing && t.growing:
		t.gc.restore()
	}
	t.growing = growing
}

// process is the setting of this process, which all nodes in it share.
var process gcPercent

// gcPercent is the runtime's GOGC: growthGOGC while at least one node wants it
// lower, unless the usual value is lower still.
type gcPercent struct {
	mu     sync.Mutex
	wanted int // nodes that want it lower
	usual  int
}

func (p *gcPercent) lower() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanted++; p.wanted > 1 {
		return
	}
	p.usual = debug.SetGCPercent(growthGOGC)
	if p.usual < growthGOGC { // also -1: collections are off
		debug.SetGCPercent(p.usual)
	}
}

func (p *gcPercent) restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanted--; p.wanted == 0 {
		debug.SetGCPercent(p.usual)
	}
}
