package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/consistency"
	"github.com/roomtide/roomtide/internal/testprocess"
)

func TestMain(m *testing.M) {
	os.Exit(testprocess.Main(m, "crashpoints", func(p *testprocess.Program) { program = p }))
}

var points = []string{"before-commit", "after-commit", "before-ack", "after-ack"}

const (
	timesEachPoint = 6
	randomKills    = 12
	terminations   = 4
	// drainBound is how long a node may take to end after SIGTERM.
	drainBound = 10 * time.Second
)

// Forty runs of one node under one load: most end at a named point, some at a random
// moment, a few with SIGTERM.
func TestCrashes(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir, addr := t.TempDir(), testprocess.FreeAddr(t)

	w := newWorkload(t, addr)
	n := program.Start(t, dir, addr)
	n.Ready()
	w.createRooms()
	if code := n.Terminate(drainBound); code != 0 {
		t.Fatalf("the first node ended with %d", code)
	}

	var rounds []func()
	hits := map[string]int{}
	for _, point := range points {
		for range timesEachPoint {
			rounds = append(rounds, func() { killAtPoint(t, dir, addr, point, 5+rng.IntN(150), hits) })
		}
	}
	for range randomKills {
		rounds = append(rounds, func() { killAtRandom(t, w, dir, addr, int64(1+rng.IntN(300))) })
	}
	for range terminations {
		rounds = append(rounds, func() { terminate(t, w, dir, addr) })
	}
	rng.Shuffle(len(rounds), func(i, j int) { rounds[i], rounds[j] = rounds[j], rounds[i] })

	w.start()
	for i, round := range rounds {
		round()
		if t.Failed() {
			t.Fatalf("stopped after round %d of %d", i+1, len(rounds))
		}
	}
	last := program.Start(t, dir, addr)
	last.Ready()
	final := w.finish()
	if code := last.Terminate(drainBound); code != 0 {
		t.Errorf("the last node ended with %d", code)
	}

	for _, point := range points {
		if hits[point] != timesEachPoint {
			t.Errorf("%s was hit %d times, not %d", point, hits[point], timesEachPoint)
		}
	}
	anomalies := consistency.Check(w.rec.Records(), final)
	for _, a := range anomalies[:min(20, len(anomalies))] {
		t.Error(a)
	}
	if len(anomalies) > 20 {
		t.Errorf("and %d more", len(anomalies)-20)
	}
	if out, errs, err := program.Run(t.Context(), "check", "--data-dir", dir); err != nil {
		t.Errorf("the offline check: %v\n%s%s", err, out, errs)
	}
	stored := 0
	for _, ms := range final {
		stored += len(ms)
	}
	t.Logf("%d runs, hits %v, %d messages acknowledged, %d stored, %d records, %d goodbyes, %d joins by position",
		len(rounds)+2, hits, w.acked.Load(), stored, len(w.rec.Records()), w.goodbyes.Load(), w.resumes.Load())
	if w.acked.Load() < int64(10*len(rounds)) {
		t.Errorf("only %d messages were acknowledged: the load did not continue through the crashes", w.acked.Load())
	}
}

// killAtPoint runs a node that kills itself when it passes the point for the nth time.
func killAtPoint(t *testing.T, dir, addr, point string, n int, hits map[string]int) {
	node := program.Start(t, dir, addr, fmt.Sprintf("ROOMTIDE_CRASH=%s:%d", point, n))
	if code := node.Wait(30 * time.Second); code != -1 {
		t.Errorf("at %s the node ended with %d instead of a signal\n%s", point, code, node.Stderr())
		return
	}
	if strings.Contains(node.Stderr(), "crashpoint: "+point) {
		hits[point]++
	}
}

// killAtRandom kills a node after it has acknowledged so many messages.
func killAtRandom(t *testing.T, w *workload, dir, addr string, acks int64) {
	node := program.Start(t, dir, addr)
	waitForAcks(t, w, node, acks)
	node.Kill()
}

// terminate ends a node with SIGTERM under load: it exits with 0 in time, and sends its
// clients a goodbye.
func terminate(t *testing.T, w *workload, dir, addr string) {
	node := program.Start(t, dir, addr)
	waitForAcks(t, w, node, 200)
	if len(w.goodbye) > 0 {
		<-w.goodbye // of an earlier node
	}
	if code := node.Terminate(drainBound); code != 0 {
		t.Errorf("the node ended with %d\n%s", code, node.Stderr())
	}
	select {
	case <-w.goodbye:
	case <-time.After(30 * time.Second):
		t.Error("no client received a goodbye")
	}
}

// waitForAcks waits until so many more messages are acknowledged.
func waitForAcks(t *testing.T, w *workload, node *testprocess.Node, acks int64) {
	t.Helper()
	goal := w.acked.Load() + acks
	deadline := time.After(30 * time.Second)
	for w.acked.Load() < goal {
		select {
		case <-node.Exited():
			t.Fatalf("the node ended by itself\n%s", node.Stderr())
		case <-deadline:
			t.Fatalf("no progress of the load\n%s", node.Stderr())
		case <-time.After(time.Millisecond):
		}
	}
}
