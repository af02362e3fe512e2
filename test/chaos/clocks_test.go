package chaos

import (
	"time"

	"github.com/roomtide/roomtide/internal/testcluster"
)

// The faults of clocks. Leases of lanes go by the clocks of databases; who is alive, the times of
// messages and everything that is late go by those of nodes.

// off is by how much a clock is wrong: five times the lease of a node.
const off = 30 * time.Second

// clocks has nodes have other clocks while something is done, and returns how many of them
// were seen to go by them. All rooms have to work meanwhile.
func (r *run) clocks(ahead map[string]time.Duration, meanwhile func()) (hits int) {
	for name, by := range ahead {
		r.c.SetClock(name, by)
	}
	since := time.Now()
	for name, by := range ahead {
		if r.goesBy(name, by) {
			hits++
		}
	}
	meanwhile()
	for !r.w.Served(since) {
		r.alive()
		if time.Since(since) > patience {
			r.t.Fatalf("not all rooms work while clocks are off by %v", ahead)
		}
		<-time.After(5 * time.Millisecond)
	}
	for name := range ahead {
		r.c.SetClock(name, 0)
	}
	return hits
}

// goesBy waits until the lease of a node is as wrong as its clock.
func (r *run) goesBy(name string, ahead time.Duration) bool {
	control := r.c.SQL[0].Open(r.c.Databases()[0])
	defer control.Close()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-time.After(50 * time.Millisecond) {
		var until int64
		if err := control.QueryRowContext(r.t.Context(), "SELECT until FROM roomtide_nodes WHERE node = '"+name+"'").Scan(&until); err != nil {
			continue // there is no lease, or it is being written
		}
		if wrong := time.Until(time.UnixMilli(until)) - ahead; wrong.Abs() < off/2 {
			return true
		}
	}
	return false
}

// clockOff has the clock of one node jump, and back.
func clockOff(by time.Duration) fault {
	return func(r *run) int {
		return r.clocks(map[string]time.Duration{r.anyNode(): by}, func() { r.wait(r.outage()) })
	}
}

// clocksApart has no two nodes agree, and one clock jump from one end to the other.
func (r *run) clocksApart() int {
	i := r.rng.IntN(3)
	early, late := testcluster.Names[i], testcluster.Names[(i+1)%3]
	return r.clocks(map[string]time.Duration{early: off, late: -off}, func() {
		r.wait(3 * time.Second)
		r.c.SetClock(early, -off)
		r.wait(r.outage())
	})
}

// killNodeWithClockOff has a node die while another one is wrong about who is alive. A node
// whose clock differs so much would not be let in again, nor next to one.
func (r *run) killNodeWithClockOff() (hits int) {
	i := r.rng.IntN(3)
	wrong, killed := testcluster.Names[i], testcluster.Names[(i+1+r.rng.IntN(2))%3]
	by := off
	if r.rng.IntN(2) == 0 {
		by = -off
	}
	hits = r.clocks(map[string]time.Duration{wrong: by}, func() {
		r.c.KillNode(killed)
		r.wait(8 * time.Second)
	})
	r.startNode(killed)
	return hits
}
