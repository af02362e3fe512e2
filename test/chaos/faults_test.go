package chaos

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/roomtide/roomtide/internal/testcluster"
	"github.com/roomtide/roomtide/internal/testdb"
)

// fault breaks something and mends it, and returns how much it has hit.
type fault func(*run) (hits int)

// calm is the round in which nothing fails, one of four.
const calm = "calm"

// faults are all of them: those of processes here, and those of network_test.go.
var faults = map[string]fault{
	calm: func(r *run) int { r.wait(2 * time.Second); return 0 },

	"node killed":                     (*run).killNode,
	"node stopped":                    (*run).stopNode,
	"node paused":                     (*run).pauseNode,
	"owner paused across a take-over": (*run).pauseOwner,
	"nodes restarted, one by one":     (*run).restartNodes,
	"nodes restarted in a storm":      (*run).restartInStorm,
	"node killed while SQL is slow":   (*run).killNodeWithSlowSQL,
	"NATS server killed":              (*run).killNATS,
	"NATS server paused": func(r *run) int {
		i := r.rng.IntN(3)
		r.c.NATS.Pause(i)
		r.wait(3 * time.Second)
		r.c.NATS.Continue(i)
		return 1
	},
	"NATS servers killed, all":           (*run).killAllNATS,
	"NATS server and node killed":        (*run).killNATSAndNode,
	"SQL killed":                         func(r *run) int { return r.killSQL(500 * time.Millisecond) },
	"SQL down":                           func(r *run) int { return r.killSQL(long(30*time.Second, 6*time.Second)) },
	"SQL down, and a node killed":        (*run).killNodeWithoutSQL,
	"SQL paused":                         (*run).pauseSQL,
	"Redis killed":                       func(r *run) int { r.c.Redis.Kill(); r.wait(2 * time.Second); r.c.Redis.Start(); return 1 },
	"Redis paused":                       func(r *run) int { r.c.Redis.Pause(); r.wait(3 * time.Second); r.c.Redis.Resume(); return 1 },
	"clients cut, and a crowd connects":  (*run).storm,
	"the same message sent on two nodes": (*run).sendTwice,
}

func init() {
	for name, n := range networks {
		for _, k := range []kind{nats, sql, redis} {
			faults[string(k)+" "+name] = func(r *run) int { return n(r, k) }
		}
	}
}

// long is a time for "make chaos", and one for a test run.
func long(in, otherwise time.Duration) time.Duration {
	if *full {
		return in
	}
	return otherwise
}

// deck gives faults in any order, all of them as often, and calm as one of four.
type deck struct {
	rng   *rand.Rand
	names []string
	given int
}

func (d *deck) next() string {
	d.given++
	if d.given%4 == 1 && *only == "" {
		return calm
	}
	for len(d.names) == 0 {
		for _, name := range slices.Sorted(maps.Keys(faults)) {
			if name != calm && strings.Contains(name, *only) {
				d.names = append(d.names, name)
			}
		}
		d.rng.Shuffle(len(d.names), func(i, j int) { d.names[i], d.names[j] = d.names[j], d.names[i] })
	}
	name := d.names[0]
	d.names = d.names[1:]
	return name
}

// wait is the time that a fault takes, between half and one and a half of what is given.
func (r *run) wait(about time.Duration) {
	<-time.After(about/2 + time.Duration(r.rng.Int64N(int64(about))))
}

func (r *run) anyNode() string        { return testcluster.Names[r.rng.IntN(len(testcluster.Names))] }
func (r *run) anySQL() *testdb.Server { return r.c.SQL[r.rng.IntN(len(r.c.SQL))] }

// startNode starts a node with a mode of the queue that is drawn anew.
func (r *run) startNode(name string) {
	r.c.Set(name, "ROOMTIDE_QUEUE_MODE="+modes[r.rng.IntN(len(modes))])
	r.c.StartNode(name)
}

func (r *run) killNode() int {
	name := r.anyNode()
	r.c.KillNode(name)
	if r.rng.IntN(2) == 0 { // else it is back before others take its lanes over
		r.wait(6 * time.Second)
	}
	r.startNode(name)
	return 1
}

func (r *run) stopNode() int {
	name := r.anyNode()
	r.stop(name)
	r.wait(2 * time.Second)
	r.startNode(name)
	return 1
}

func (r *run) stop(name string) {
	if code := r.c.StopNode(name); code != 0 {
		r.t.Errorf("node %s ends with %d", name, code)
	}
}

func (r *run) restartNodes() int {
	for _, name := range testcluster.Names {
		r.stop(name)
		r.startNode(name)
	}
	return len(testcluster.Names)
}

func (r *run) pauseNode() int {
	name := r.anyNode()
	r.c.PauseNode(name)
	r.wait(1500 * time.Millisecond)
	r.c.ContinueNode(name)
	return 1
}

// pauseOwner halts a node until the others have all of its lanes: what it was about to
// commit comes too late.
func (r *run) pauseOwner() int {
	name, lanes := "", 0
	for n, owned := range r.c.Lanes() {
		if r.c.Nodes[n] != nil && len(owned) > lanes {
			name, lanes = n, len(owned)
		}
	}
	if lanes == 0 {
		return 0
	}
	r.c.PauseNode(name)
	r.c.Served()
	r.c.ContinueNode(name)
	return lanes
}

func (r *run) killNATS() int {
	i := r.rng.IntN(3)
	r.c.NATS.Kill(i)
	r.wait(3 * time.Second)
	r.c.NATS.Restart(i)
	r.c.NATS.Settle()
	return 1
}

func (r *run) killAllNATS() int {
	for i := range 3 {
		r.c.NATS.Kill(i)
	}
	r.wait(long(10*time.Second, 2*time.Second))
	for i := range 3 {
		r.c.NATS.Restart(i)
	}
	r.c.NATS.Settle()
	return 3
}

func (r *run) killSQL(down time.Duration) int {
	s := r.anySQL()
	s.Kill()
	r.wait(down)
	s.Restart()
	return 1
}

func (r *run) pauseSQL() int {
	s := r.anySQL()
	s.Pause()
	r.wait(4 * time.Second)
	s.Continue()
	return 1
}

// storm ends the connections of all clients some times, while a crowd connects.
func (r *run) storm() (hits int) {
	crowd := make(chan struct{})
	go func() {
		defer close(crowd)
		r.w.Storm(60)
	}()
	for range 4 {
		hits += r.c.Balancer.Cut()
		<-time.After(200 * time.Millisecond)
	}
	<-crowd
	return hits
}

func (r *run) sendTwice() int {
	const messages = 40
	first := r.rng.IntN(3)
	addrs := [2]string{r.c.Addr(testcluster.Names[first]), r.c.Addr(testcluster.Names[(first+1)%3])}
	r.w.SendTwice(addrs, messages, r.begun)
	return messages
}

// restartInStorm restarts the nodes while clients lose their connections all the time.
func (r *run) restartInStorm() int {
	hits := make(chan int)
	go func() { hits <- r.storm() }()
	n := r.restartNodes()
	return min(n, <-hits)
}

func (r *run) killNATSAndNode() int {
	i := r.rng.IntN(3)
	r.c.NATS.Kill(i)
	r.killNode()
	r.c.NATS.Restart(i)
	r.c.NATS.Settle()
	return 2
}

// killNodeWithoutSQL ends a node that has promised what a database could not take.
func (r *run) killNodeWithoutSQL() int {
	s, name := r.anySQL(), r.anyNode()
	s.Kill()
	r.wait(3 * time.Second)
	r.c.KillNode(name)
	r.wait(long(10*time.Second, time.Second))
	s.Restart()
	r.startNode(name)
	return 2
}
