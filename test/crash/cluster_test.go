package crash

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roomtide/roomtide/cluster"
	"github.com/roomtide/roomtide/consistency"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testnats"
	"github.com/roomtide/roomtide/internal/testprocess"
)

var (
	clusterRounds = flag.Int("cluster-rounds", 1, "how often each fault happens in TestCluster")
	clusterFaults = flag.String("cluster-faults", "", "only the faults of TestCluster whose names have this in them")
)

// chaos is three nodes over two database servers and three NATS servers, behind a
// balancer, and what goes wrong with them.
type chaos struct {
	t        *testing.T
	rng      *rand.Rand
	balancer *balancer
	nats     *testnats.Servers
	sql      []*testdb.Server
	shards   []string

	dirs  map[string]string
	nodes map[string]*testprocess.Node
	slow  time.Duration // the longest wait for all lanes behind a fault
}

var names = []string{"a", "b", "c"}

// faults are what happens in a round, by name. What they stop, they start again.
var faults = map[string]func(*chaos){
	"calm":              func(c *chaos) { <-time.After(time.Second) },
	"node killed":       func(c *chaos) { name := c.any(); c.nodes[name].Kill(); c.down(name); c.served(2); c.start(name) },
	"node stopped":      (*chaos).stopNode,
	"node paused":       func(c *chaos) { c.pauseNode(5 * time.Second) }, // others take over meanwhile
	"node paused short": func(c *chaos) { c.pauseNode(time.Second) },
	"nodes restarted":   (*chaos).restartAll,
	"NATS server gone":  func(c *chaos) { i := c.rng.IntN(3); c.nats.Stop(i); <-time.After(time.Second); c.nats.Restart(i) },
	"NATS gone":         (*chaos).natsGone,
	"NATS cut":          func(c *chaos) { c.nats.Drop(c.rng.IntN(3)) },
	"SQL paused":        func(c *chaos) { s := c.anySQL(); s.Pause(); <-time.After(4 * time.Second); s.Continue() },
	"SQL killed":        func(c *chaos) { s := c.anySQL(); s.Kill(); <-time.After(time.Second); s.Restart() },
}

// Nodes, NATS and databases fail one after the other under one load, and no client sees
// a message lost, doubled or out of order; every fault happens as often as it should.
func TestCluster(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := &chaos{
		t: t, rng: rand.New(rand.NewPCG(seed, 0)), balancer: newBalancer(t), nats: testnats.Start(t, 3, nil),
		dirs: map[string]string{}, nodes: map[string]*testprocess.Node{},
	}
	for _, e := range []testdb.Engine{testdb.Maria, testdb.Postgres} {
		s := testdb.Start(t, e)
		c.sql = append(c.sql, s)
		c.shards = append(c.shards, s.Database(), s.Database())
	}
	for _, name := range names {
		c.start(name)
	}
	w := newWorkload(t, c.balancer.ln.Addr().String())
	w.ping = time.Second
	w.createRooms()
	w.start()
	var rounds []string
	for name := range faults {
		if !strings.Contains(name, *clusterFaults) {
			continue
		}
		for range *clusterRounds {
			rounds = append(rounds, name)
		}
	}
	c.rng.Shuffle(len(rounds), func(i, j int) { rounds[i], rounds[j] = rounds[j], rounds[i] })
	for _, name := range rounds {
		before := w.acked.Load()
		faults[name](c)
		c.served(len(names))
		t.Logf("%s: %d messages", name, w.acked.Load()-before)
		if t.Failed() {
			t.FailNow()
		}
	}
	final := w.finish()
	anomalies := consistency.Check(w.rec.Records(), final)
	for _, a := range anomalies[:min(20, len(anomalies))] {
		t.Error(a)
	}
	t.Logf("%d messages, %d anomalies; all lanes were served again within %v", w.acked.Load(), len(anomalies), c.slow)
	for _, name := range names {
		if code := c.nodes[name].Terminate(drainBound + 20*time.Second); code != 0 {
			t.Errorf("node %s ends with %d", name, code)
		}
	}
	if out, errs, err := program.RunWith(t.Context(), c.env("a"), "check", "--data-dir", c.dirs["a"]); err != nil {
		t.Errorf("the offline check: %v\n%s%s", err, out, errs)
	}
}

func (c *chaos) any() string            { return names[c.rng.IntN(len(names))] }
func (c *chaos) anySQL() *testdb.Server { return c.sql[c.rng.IntN(len(c.sql))] }

func (c *chaos) env(name string) []string {
	i := strings.Index("abc", name)
	return []string{
		"ROOMTIDE_NODE=" + name, "ROOMTIDE_SHARD=" + strings.Join(c.shards, " "),
		"ROOMTIDE_NATS_URL=" + strings.Join(c.nats.URLs(i), ","),
	}
}

// start starts a node, which may have been there before.
func (c *chaos) start(name string) {
	if c.dirs[name] == "" {
		c.dirs[name] = c.t.TempDir()
	}
	n := program.Start(c.t, c.dirs[name], testprocess.FreeAddr(c.t), c.env(name)...)
	n.Ready()
	c.nodes[name] = n
	c.balancer.set(name, n.Addr)
}

// down says that a node is gone.
func (c *chaos) down(name string) {
	c.balancer.set(name, "")
	delete(c.nodes, name)
}

func (c *chaos) stopNode() {
	name := c.any()
	n := c.nodes[name]
	c.balancer.set(name, "") // as a proxy does that asks /readyz
	if code := n.Terminate(drainBound + 20*time.Second); code != 0 {
		c.t.Errorf("node %s ends with %d", name, code)
	}
	c.down(name)
	c.served(2)
	c.start(name)
}

func (c *chaos) restartAll() {
	for _, name := range names {
		c.balancer.set(name, "")
		if code := c.nodes[name].Terminate(drainBound + 20*time.Second); code != 0 {
			c.t.Errorf("node %s ends with %d", name, code)
		}
		c.start(name)
	}
}

func (c *chaos) pauseNode(d time.Duration) {
	n := c.nodes[c.any()]
	c.signal(n, syscall.SIGSTOP)
	<-time.After(d)
	c.signal(n, syscall.SIGCONT)
}

func (c *chaos) signal(n *testprocess.Node, s syscall.Signal) {
	if err := syscall.Kill(n.Pid(), s); err != nil {
		c.t.Error(err)
	}
}

func (c *chaos) natsGone() {
	for i := range 3 {
		c.nats.Stop(i)
	}
	<-time.After(2 * time.Second)
	for i := range 3 {
		c.nats.Restart(i)
	}
}

// served waits until so many nodes are alive and all lanes are owned by them.
func (c *chaos) served(alive int) {
	c.t.Helper()
	start := time.Now()
	for deadline := start.Add(60 * time.Second); ; {
		out := ""
		for _, name := range names {
			if c.nodes[name] == nil {
				continue
			}
			var err error
			if out, _, err = program.RunWith(c.t.Context(), nil, "nodes", "--json", "--data-dir", c.dirs[name]); err == nil && c.complete(out, alive) {
				c.slow = max(c.slow, time.Since(start))
				return
			}
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("not all lanes are served: %s", out)
		}
		<-time.After(50 * time.Millisecond)
	}
}

func (c *chaos) complete(list string, alive int) bool {
	var answer struct{ Nodes []cluster.Info }
	if err := json.Unmarshal([]byte(list), &answer); err != nil {
		c.t.Fatal(err)
	}
	lanes, nodes := 0, 0
	for _, n := range answer.Nodes {
		if c.nodes[n.Name] != nil {
			lanes += len(n.Lanes)
			nodes++
		}
	}
	return lanes == len(c.shards) && nodes >= alive
}
