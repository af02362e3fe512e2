package server

import (
	"runtime/debug"
	"testing"
)

// Garbage is collected more often while there are more and more connections, and
// not when those who were here come back.
func TestGrowth(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	percent := func() int {
		p := debug.SetGCPercent(100)
		debug.SetGCPercent(p)
		return p
	}
	var g, other growth
	for _, step := range []struct {
		conns, percent int
	}{{10, 100}, {3000, 100}, {4000, growingGOGC}, {5000, growingGOGC}, {5100, 100}, {0, 100}, {4900, 100}, {5300, growingGOGC}} {
		if g.look(step.conns); percent() != step.percent {
			t.Errorf("%d connections: %d", step.conns, percent())
		}
	}
	other.look(5000) // another node in this process
	if g.end(); percent() != growingGOGC {
		t.Errorf("while the other one grows: %d", percent())
	}
	if other.end(); percent() != 100 {
		t.Errorf("in the end: %d", percent())
	}
	debug.SetGCPercent(20)
	var third growth
	if third.look(5000); percent() != 20 {
		t.Errorf("where less was configured: %d", percent())
	}
	if third.look(5000); percent() != 20 {
		t.Errorf("where less was configured, later: %d", percent())
	}
}
