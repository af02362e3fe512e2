package crash

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/consistency"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/internal/workload"
)

var planted = flag.String("planted", "", "a mistake of package internal/planted that the nodes of TestCrashes make")

var program *testprocess.Program

func TestMain(m *testing.M) {
	flag.Parse()
	tags := "crashpoints"
	if *planted != "" {
		tags += ",planted"
	}
	os.Exit(testprocess.Main(withServers{m}, tags, func(p *testprocess.Program) { program = p }))
}

// withServers are the tests, with the database servers that they share.
type withServers struct{ m *testing.M }

func (s withServers) Run() int { return testdb.Main(s.m) }

var points = []string{"before-commit", "after-commit", "before-ack", "after-ack"}

// drainBound is how long a node may take to end after SIGTERM.
const drainBound = 10 * time.Second

// crashes are how often a node ends, and how.
type crashes struct {
	t            *testing.T
	eachPoint    int
	randomKills  int
	terminations int

	dir, addr string
	env       []string
	hits      map[string]int
}

// Forty runs of one node under one load: most end at a named point, some at a random
// moment, a few with SIGTERM.
func TestCrashes(t *testing.T) {
	c := crashes{t: t, eachPoint: 6, randomKills: 12, terminations: 4}
	if *planted != "" { // of which less is enough
		c.eachPoint, c.randomKills, c.terminations = 3, 12, 2
		c.env = []string{"ROOMTIDE_PLANTED=" + *planted}
	}
	c.run()
}

// The same, less often, with two shards in a database over a network.
func TestCrashesOnDatabases(t *testing.T) {
	for _, e := range testdb.Engines {
		t.Run(string(e), func(t *testing.T) {
			dsn := testdb.Database(t, e)
			other := dsn + "?prefix=b_"
			if strings.Contains(dsn, "?") {
				other = dsn + "&prefix=b_"
			}
			c := crashes{t: t, eachPoint: 2, randomKills: 4, terminations: 1, env: []string{"ROOMTIDE_SHARD=" + dsn + " " + other}}
			c.run()
		})
	}
}

func (c *crashes) run() {
	t := c.t
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	c.dir, c.addr, c.hits = t.TempDir(), testprocess.FreeAddr(t), map[string]int{}

	w := workload.New(t, workload.Options{Addr: c.addr})
	n := c.start()
	n.Ready()
	w.CreateRooms()
	if code := n.Terminate(drainBound); code != 0 {
		t.Fatalf("the first node ended with %d", code)
	}

	var rounds []func()
	for _, point := range points {
		for range c.eachPoint {
			rounds = append(rounds, func() { c.killAtPoint(point, 5+rng.IntN(150)) })
		}
	}
	for range c.randomKills {
		rounds = append(rounds, func() { c.killAtRandom(w, int64(1+rng.IntN(300))) })
	}
	for range c.terminations {
		rounds = append(rounds, func() { c.terminate(w) })
	}
	rng.Shuffle(len(rounds), func(i, j int) { rounds[i], rounds[j] = rounds[j], rounds[i] })

	w.Start()
	for i, round := range rounds {
		round()
		if t.Failed() {
			t.Fatalf("stopped after round %d of %d", i+1, len(rounds))
		}
	}
	last := c.start()
	last.Ready()
	final := w.Finish()
	if code := last.Terminate(drainBound); code != 0 {
		t.Errorf("the last node ended with %d", code)
	}

	for _, point := range points {
		if c.hits[point] != c.eachPoint {
			t.Errorf("%s was hit %d times, not %d", point, c.hits[point], c.eachPoint)
		}
	}
	anomalies := consistency.Check(w.Rec.Records(), final)
	for _, a := range anomalies[:min(20, len(anomalies))] {
		t.Error(a)
	}
	if len(anomalies) > 20 {
		t.Errorf("and %d more", len(anomalies)-20)
	}
	if out, errs, err := program.RunWith(t.Context(), c.env, "check", "--data-dir", c.dir); err != nil {
		t.Errorf("the offline check: %v\n%s%s", err, out, errs)
	}
	stored := 0
	for _, ms := range final {
		stored += len(ms)
	}
	t.Logf("%d runs, hits %v, %d messages acknowledged, %d stored, %d records, %d goodbyes, %d joins by position",
		len(rounds)+2, c.hits, w.Acked(), stored, len(w.Rec.Records()), w.Goodbyes(), w.Resumes())
	if w.Acked() < int64(10*len(rounds)) {
		t.Errorf("only %d messages were acknowledged: the load did not continue through the crashes", w.Acked())
	}
}

// start starts the next node.
func (c *crashes) start(env ...string) *testprocess.Node {
	return program.Start(c.t, c.dir, c.addr, append(env, c.env...)...)
}

// killAtPoint runs a node that kills itself when it passes the point for the nth time.
func (c *crashes) killAtPoint(point string, n int) {
	t := c.t
	node := c.start(fmt.Sprintf("ROOMTIDE_CRASH=%s:%d", point, n))
	if code := node.Wait(30 * time.Second); code != -1 {
		t.Errorf("at %s the node ended with %d instead of a signal\n%s", point, code, node.Stderr())
		return
	}
	if strings.Contains(node.Stderr(), "crashpoint: "+point) {
		c.hits[point]++
	}
}

// killAtRandom kills a node after it has acknowledged so many messages.
func (c *crashes) killAtRandom(w *workload.Workload, acks int64) {
	node := c.start()
	waitForAcks(c.t, w, node, acks)
	node.Kill()
}

// terminate ends a node with SIGTERM under load: it exits with 0 in time, and sends its
// clients a goodbye.
func (c *crashes) terminate(w *workload.Workload) {
	t := c.t
	node := c.start()
	waitForAcks(t, w, node, 200)
	if len(w.Goodbye) > 0 {
		<-w.Goodbye // of an earlier node
	}
	if code := node.Terminate(drainBound); code != 0 {
		t.Errorf("the node ended with %d\n%s", code, node.Stderr())
	}
	select {
	case <-w.Goodbye:
	case <-time.After(30 * time.Second):
		t.Error("no client received a goodbye")
	}
}

// waitForAcks waits until so many more messages are acknowledged.
func waitForAcks(t *testing.T, w *workload.Workload, node *testprocess.Node, acks int64) {
	t.Helper()
	goal := w.Acked() + acks
	deadline := time.After(30 * time.Second)
	for w.Acked() < goal {
		select {
		case <-node.Exited():
			t.Fatalf("the node ended by itself\n%s", node.Stderr())
		case <-deadline:
			t.Fatalf("no progress of the load\n%s", node.Stderr())
		case <-time.After(time.Millisecond):
		}
	}
}
