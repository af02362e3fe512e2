package memtune

import (
	"runtime/debug"
	"runtime/metrics"
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

// A collection of a small heap costs more than it is worth: while a small heap is
// collected twice a second, it is collected when it has tripled, and not when it has
// doubled. That takes up to 32 MB more while the node is busy, and nothing when it is not.
const (
	smallFrom = 32 << 20 // bytes that are live: below, the heap is small
	smallTo   = 40 << 20 // above, it is not
	busyFrom  = 4        // collections between two checks: the node is busy
	smallGOGC = 200
	stockGOGC = 100 // of the runtime
)

// process is the setting of this process, which all nodes in it share.
var process gcPercent

// gcPercent is the runtime's GOGC: growthGOGC while at least one node wants it
// lower, smallGOGC while a small heap is collected often, and the usual value otherwise. A usual value
// that is lower than growthGOGC stays; one that was configured is not raised.
type gcPercent struct {
	mu    sync.Mutex
	nodes int  // that are tuned
	low   int  // nodes that want it lower
	small bool // and collected often
	usual int
	held  bool // usual is what was configured; it is read anew otherwise
}

// enter and leave say that a node is tuned.
func (p *gcPercent) enter() {
	p.change(func() { p.nodes++ })
}

func (p *gcPercent) leave() {
	p.change(func() {
		if p.nodes--; p.nodes == 0 {
			p.small = false
		}
	})
}

func (p *gcPercent) lower()   { p.change(func() { p.low++ }) }
func (p *gcPercent) restore() { p.change(func() { p.low-- }) }

// fit is told how many bytes of the heap are live, and how often it was collected since
// the last check.
func (p *gcPercent) fit(live, collections uint64) {
	p.change(func() {
		if p.small {
			p.small = live <= smallTo && collections > 0
		} else {
			p.small = live < smallFrom && collections >= busyFrom
		}
	})
}

// change makes a change and sets what follows from it.
func (p *gcPercent) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	if !p.held {
		p.usual = gogc()
	}
	want := p.usual
	switch {
	case p.low > 0 && want > growthGOGC:
		want = growthGOGC
	case p.low == 0 && p.small && want == stockGOGC:
		want = smallGOGC
	}
	p.held = p.low > 0 || p.small
	if want != gogc() {
		debug.SetGCPercent(want)
	}
}

// gogc is what GOGC is now, -1 if collections are off.
func gogc() int {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return int(s[0].Value.Uint64())
}
