package chaos

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roomtide/roomtide/internal/faultproxy"
	"github.com/roomtide/roomtide/internal/testcluster"
	"github.com/roomtide/roomtide/internal/testdb"
)

// fault breaks something and mends it, and returns how much it has hit.
type fault func(*run) (hits int)

// calm is the round in which nothing fails, one of four.
const calm = "calm"

const moves = "rooms moved by one node alone"

// classes are all other faults. A test run draws one of each class, and "make chaos" draws
// from all of them.
var classes = []map[string]fault{
	{
		"node killed":                 (*run).killNode,
		"node stopped":                (*run).stopNode,
		"node paused":                 (*run).pauseNode,
		"nodes restarted in a storm":  (*run).restartInStorm,
		"nodes restarted, one by one": (*run).restartNodes,
	},
	{"owner paused across a take-over": (*run).pauseOwner},
	{
		"NATS server killed":       (*run).killNATS,
		"NATS server paused":       (*run).pauseNATS,
		"NATS servers killed, all": (*run).killAllNATS,
	},
	{
		"NATS server cut off from the others":                isolate(refuse),
		"NATS server silent to the others":                   isolate(func(p *faultproxy.Proxy) { p.Hold() }),
		"NATS server unheard by the others":                  (*run).isolateOneWay,
		"NATS servers cut off from each other, two of three": (*run).separate,
	},
	{
		"SQL killed": func(r *run) int { return r.killSQL(500 * time.Millisecond) },
		"SQL down":   func(r *run) int { return r.killSQL(long(30*time.Second, 6*time.Second)) },
		"SQL paused": (*run).pauseSQL,
	},
	{
		"NATS server and node killed":   (*run).killNATSAndNode,
		"SQL down, and a node killed":   (*run).killNodeWithoutSQL,
		"node killed while SQL is slow": (*run).killNodeWithSlowSQL,
	},
	{
		"disk of a database full":                   (*run).fillTables,
		"disk of a database's log full":             (*run).fillLog,
		"disk of a queue server full, and SQL down": (*run).fillStore,
	},
	{moves: (*run).moveSlots},
	{"rooms moved while nodes run": (*run).moveWhileNodesRun},
	{
		"clock of a node ahead":                    clockOff(off),
		"clock of a node behind":                   clockOff(-off),
		"clocks of all nodes apart, and one jumps": (*run).clocksApart,
		"clock of a node off, and another killed":  (*run).killNodeWithClockOff,
	},
	redisFaults(),
	{
		"clients cut, and a crowd connects":  (*run).storm,
		"the same message sent on two nodes": (*run).sendTwice,
	},
	networksOf(nats), networksOf(sql),
}

func redisFaults() map[string]fault {
	all := networksOf(redis)
	all["Redis killed"], all["Redis paused"] = (*run).killRedis, (*run).pauseRedis
	return all
}

// networksOf are the faults of the network to a kind of server.
func networksOf(k kind) map[string]fault {
	all := map[string]fault{}
	for name, n := range networks {
		all[string(k)+" "+name] = func(r *run) int { return n(r, k) }
	}
	return all
}

// long is a time, or a number, for "make chaos", and one for a test run.
func long[T any](in, otherwise T) T {
	if *full {
		return in
	}
	return otherwise
}

// deck gives the faults of rounds.
type deck struct {
	rng    *rand.Rand
	faults map[string]fault
	names  []string // what comes next
}

func newDeck(rng *rand.Rand) *deck {
	d := &deck{rng: rng, faults: map[string]fault{}}
	for _, class := range classes {
		maps.Copy(d.faults, class)
	}
	d.faults[calm] = func(r *run) int { r.wait(2 * time.Second); return 0 }
	return d
}

// next gives all faults as often, in any order.
func (d *deck) next() (name string, f fault) {
	if len(d.names) == 0 {
		d.fill()
	}
	name, d.names = d.names[0], d.names[1:]
	return name, d.faults[name]
}

// fill takes all faults that are wanted, and calm as one of four.
func (d *deck) fill() {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(d.faults)) {
		if name != calm && strings.Contains(name, *only) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		panic("no fault has " + strconv.Quote(*only) + " in its name")
	}
	d.shuffle(names)
	for i, name := range names {
		if i%3 == 0 && *only == "" {
			d.names = append(d.names, calm)
		}
		d.names = append(d.names, name)
	}
}

// deal takes one fault of each class, and calm before them. Rooms are moved first, while
// there is little in them: on a slow machine it takes long.
func (d *deck) deal() {
	var names []string
	for _, class := range classes {
		of := slices.Sorted(maps.Keys(class))
		names = append(names, of[d.rng.IntN(len(of))])
	}
	d.shuffle(names)
	names = slices.DeleteFunc(names, func(name string) bool { return name == moves })
	d.names = append([]string{calm, moves}, names...)
}

func (d *deck) shuffle(names []string) {
	d.rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
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

func (r *run) pauseNATS() int {
	i := r.rng.IntN(3)
	r.c.NATS.Pause(i)
	r.wait(3 * time.Second)
	r.c.NATS.Continue(i)
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

func (r *run) killRedis() int {
	r.c.Redis.Kill()
	r.wait(2 * time.Second)
	r.c.Redis.Start()
	return 1
}

func (r *run) pauseRedis() int {
	r.c.Redis.Pause()
	r.wait(3 * time.Second)
	r.c.Redis.Resume()
	return 1
}

// storm ends the connections of all clients some times, while a crowd connects.
func (r *run) storm() (hits int) {
	in := make(chan struct{})
	go func() {
		defer close(in)
		r.w.Storm(long(60, 20))
	}()
	for range 4 {
		hits += r.c.Balancer.Cut()
		<-time.After(200 * time.Millisecond)
	}
	<-in
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
