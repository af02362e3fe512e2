package memtune

import (
	"runtime/debug"
	"testing"
)

// Garbage is collected more often while the number of connections grows, and not
// when connections that were cut off come back.
func TestGCTuner(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	percent := func() int {
		p := debug.SetGCPercent(100)
		debug.SetGCPercent(p)
		return p
	}
	node, other := gcTuner{gc: &process}, gcTuner{gc: &process}
	for _, step := range []struct {
		conns, percent int
	}{{10, 100}, {3000, 100}, {4000, growthGOGC}, {5000, growthGOGC}, {5100, 100}, {0, 100}, {4900, 100}, {5300, growthGOGC}} {
		if node.update(step.conns); percent() != step.percent {
			t.Errorf("%d connections: %d", step.conns, percent())
		}
	}
	other.update(5000)
	if node.stop(); percent() != growthGOGC {
		t.Errorf("while the other node of the process grows: %d", percent())
	}
	if other.stop(); percent() != 100 {
		t.Errorf("in the end: %d", percent())
	}
	if other.stop(); percent() != 100 {
		t.Errorf("stopped twice: %d", percent())
	}
	for _, low := range []int{20, -1} {
		debug.SetGCPercent(low)
		third := gcTuner{gc: &process}
		for _, conns := range []int{5000, 5000} {
			if third.update(conns); percent() != low {
				t.Errorf("where %d was configured: %d", low, percent())
			}
		}
		third.update(6000)
		if third.stop(); percent() != low {
			t.Errorf("where %d was configured, in the end: %d", low, percent())
		}
	}
}

// A small heap that is collected often is collected less often, unless the node grows or
// something else was configured.
func TestSmallHeap(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(stockGOGC))
	var p gcPercent
	p.enter()
	p.enter()
	for i, step := range []struct {
		do   func()
		want int
	}{
		{func() { p.fit(1<<20, busyFrom-1) }, stockGOGC},
		{func() { p.fit(1<<20, busyFrom) }, smallGOGC},
		{func() { p.fit(smallTo, 1) }, smallGOGC},
		{p.lower, growthGOGC},
		{func() { p.fit(smallTo+1, busyFrom) }, growthGOGC},
		{p.restore, stockGOGC},
		{func() { p.fit(smallFrom, busyFrom) }, stockGOGC},
		{func() { p.fit(smallFrom-1, busyFrom) }, smallGOGC},
		{func() { p.fit(smallFrom-1, 0) }, stockGOGC},
		{func() { p.fit(smallFrom-1, busyFrom) }, smallGOGC},
		{p.leave, smallGOGC},
		{p.leave, stockGOGC},
	} {
		if step.do(); gogc() != step.want {
			t.Errorf("step %d: GOGC is %d, and should be %d", i, gogc(), step.want)
		}
	}
	for _, configured := range []int{-1, 80, 150} {
		debug.SetGCPercent(configured)
		if p.fit(1<<20, busyFrom); gogc() != configured {
			t.Errorf("where %d was configured: %d", configured, gogc())
		}
		p.fit(smallTo+1, busyFrom)
	}
}
