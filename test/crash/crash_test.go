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
	// drainBound is how long a node may take to end in good order.
	drainBound = 10 * time.Second
)

// Forty lives of one node under one load: most end at a named point, some at a
// random moment, a few in good order.
func TestCrashes(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir, addr := t.TempDir(), testprocess.FreeAddr(t)

	w := newWorld(t, addr)
	n := program.Start(t, dir, addr)
	n.Ready()
	w.seed()
	if code := n.Terminate(drainBound); code != 0 {
		t.Fatalf("the first node ended with %d", code)
	}

	var rounds []func()
	hits := map[string]int{}
	for _, point := range points {
		for range timesEachPoint {
			rounds = append(rounds, func() { atPoint(t, dir, addr, point, 5+rng.IntN(150), hits) })
		}
	}
	for range randomKills {
		rounds = append(rounds, func() { atRandom(t, w, dir, addr, int64(1+rng.IntN(300))) })
	}
	for range terminations {
		rounds = append(rounds, func() { inGoodOrder(t, w, dir, addr) })
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
	t.Logf("%d lives, hits %v, %d messages acknowledged, %d stored, %d records, %d goodbyes, %d joins by position",
		len(rounds)+2, hits, w.acked.Load(), stored, len(w.rec.Records()), w.goodbyes.Load(), w.resumes.Load())
	if w.acked.Load() < int64(10*len(rounds)) {
		t.Errorf("only %d messages were acknowledged: the load did not live through the crashes", w.acked.Load())
	}
}

// atPoint lets a node run until it has passed the point n times.
func atPoint(t *testing.T, dir, addr, point string, n int, hits map[string]int) {
	node := program.Start(t, dir, addr, fmt.Sprintf("ROOMTIDE_CRASH=%s:%d", point, n))
	if code := node.Wait(30 * time.Second); code != -1 {
		t.Errorf("at %s the node ended with %d and was to be killed\n%s", point, code, node.Said())
		return
	}
	if strings.Contains(node.Said(), "crashpoint: "+point) {
		hits[point]++
	}
}

// atRandom kills a node once it has acknowledged some messages.
func atRandom(t *testing.T, w *world, dir, addr string, acks int64) {
	node := program.Start(t, dir, addr)
	waitForAcks(t, w, node, acks)
	node.Kill()
}

// inGoodOrder ends a node with SIGTERM under load: it exits with 0 in time, and
// tells its clients goodbye.
func inGoodOrder(t *testing.T, w *world, dir, addr string) {
	node := program.Start(t, dir, addr)
	waitForAcks(t, w, node, 200)
	if len(w.goodbye) > 0 {
		<-w.goodbye // of an earlier node
	}
	if code := node.Terminate(drainBound); code != 0 {
		t.Errorf("the node ended with %d\n%s", code, node.Said())
	}
	select {
	case <-w.goodbye:
	case <-time.After(30 * time.Second):
		t.Error("nobody was told goodbye")
	}
}

// waitForAcks waits until the load has got somewhere with this node.
func waitForAcks(t *testing.T, w *world, node *testprocess.Node, acks int64) {
	t.Helper()
	goal := w.acked.Load() + acks
	deadline := time.After(30 * time.Second)
	for w.acked.Load() < goal {
		select {
		case <-node.Exited():
			t.Fatalf("the node ended by itself\n%s", node.Said())
		case <-deadline:
			t.Fatalf("the load got nowhere\n%s", node.Said())
		case <-time.After(time.Millisecond):
		}
	}
}
