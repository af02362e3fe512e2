package limit

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// nodesOf are Rates of as many nodes, which hear of each other each d.
func nodesOf(n int, c RatesConfig) []*Rates[string] {
	nodes := make([]*Rates[string], n)
	for i := range nodes {
		nodes[i] = NewRates[string](c)
	}
	return nodes
}

// exchange tells each node what the others have spent.
func exchange(nodes []*Rates[string]) {
	for i, from := range nodes {
		from.Spent(func(key string, n int) {
			for j, to := range nodes {
				if j != i {
					to.Charge(key, n)
				}
			}
		})
	}
}

// spendFor takes from the nodes in turn, each every pause, and returns what was had.
func spendFor(nodes []*Rates[string], share []time.Duration, span, d time.Duration) (had int) {
	next := make([]time.Duration, len(nodes))
	for at := time.Duration(0); at < span; at += time.Millisecond {
		for i, r := range nodes {
			if share[i] > 0 && at >= next[i] {
				next[i] += share[i]
				if r.Take("ann") == nil {
					had++
				}
			}
		}
		if d > 0 && at%d == 0 {
			exchange(nodes)
		}
		time.Sleep(time.Millisecond)
	}
	return had
}

// What a key spends on all nodes together is within the bound of the comment in spent.go,
// however it is spread over them, and is all that it may have.
func TestNodesHoldOneRate(t *testing.T) {
	const d = 250 * time.Millisecond
	ms := time.Millisecond
	c := RatesConfig{PerSecond: 20, Burst: 60, Share: 60 / 16, Op: "test", Text: "too fast"}
	for _, test := range []struct {
		name  string
		share []time.Duration // between two attempts, of each node; 0: none
	}{
		{"one node", []time.Duration{ms, 0, 0}},
		{"as fast as they can", []time.Duration{ms, ms, ms}},
		{"each just below the rate", []time.Duration{51 * ms, 52 * ms, 53 * ms}},
		{"one fast, two at a third", []time.Duration{5 * ms, 150 * ms, 151 * ms}},
		{"five nodes", []time.Duration{10 * ms, 10 * ms, 10 * ms, 200 * ms, 70 * ms}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := len(test.share)
				for _, span := range []time.Duration{time.Second, 60 * time.Second} {
					nodes := nodesOf(n, c)
					had := spendFor(nodes, test.share, span, d)
					paid := c.Burst + int(span.Seconds()*c.PerSecond)
					most := paid + n*(c.Share-1) + (n-1)*(c.Burst+int(d.Seconds()*c.PerSecond))
					if had > most {
						t.Errorf("%d in %v, %d at most", had, span, most)
					}
					if span == 60*time.Second && had < paid*9/10 {
						t.Errorf("%d in %v: it may have %d", had, span, paid)
					}
				}
				// What was too much is paid once: over long, the rate is that of one node.
				nodes := nodesOf(n, c)
				spendFor(nodes, test.share, 20*time.Second, d)
				if had, may := spendFor(nodes, test.share, 60*time.Second, d), int(60*c.PerSecond); had > may*11/10 {
					t.Errorf("%d in a minute, at a rate of %d", had, may)
				}
			})
		})
	}
}

// Without what nodes tell each other, three give three times as much: the test above sees it.
func TestNodesThatDoNotHear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := nodesOf(3, RatesConfig{PerSecond: 20, Burst: 60, Share: 3})
		ms := time.Millisecond
		spendFor(nodes, []time.Duration{ms, ms, ms}, 20*time.Second, 0)
		if had := spendFor(nodes, []time.Duration{ms, ms, ms}, 60*time.Second, 0); had < 3*60*19 {
			t.Errorf("%d in a minute", had)
		}
	})
}

// A key that has spent less than its share is not told, one that spends more is told all
// of it, and what there is no room for is counted.
func TestSpent(t *testing.T) {
	untold := prometheus.NewCounter(prometheus.CounterOpts{Name: "untold"})
	r := NewRates[string](RatesConfig{PerSecond: 1, Burst: 100, Share: 4, MaxKeys: 1, Untold: untold})
	told := func() map[string]int {
		all := map[string]int{}
		r.Spent(func(key string, n int) { all[key] += n })
		return all
	}
	for range 3 {
		_ = r.Take("ann")
	}
	if got := told(); len(got) != 0 {
		t.Errorf("three of four: %v", got)
	}
	_ = r.Take("ann")
	r.Spend("ann", 10)
	if got := told(); len(got) != 1 || got["ann"] != 14 {
		t.Errorf("told %v, want 14 of ann", got)
	}
	if got := told(); len(got) != 0 {
		t.Errorf("told twice: %v", got)
	}
	for key := range 100 { // more than there are stripes
		r.Spend(string(rune('A'+key)), 5)
	}
	sum := 0
	for _, n := range told() {
		sum += n
	}
	if lost := int(testutil.ToFloat64(untold)); lost == 0 || sum+lost != 500 {
		t.Errorf("%d told and %d not, of 500", sum, lost)
	}
}

// A key owes what it has spent elsewhere, within a bound.
func TestCharge(t *testing.T) {
	now := clock{time.Unix(1e9, 0)}
	r := NewRates[string](RatesConfig{PerSecond: 10, Burst: 10, Op: "test", Text: "too fast", Now: now.read})
	r.Charge("ann", 29)
	wantLimited(t, "19 owed", r.Take("ann"), 2000)
	now.advance(2 * time.Second)
	wantLimited(t, "paid", r.Take("ann"), 0)
	r.Charge("ann", 1<<40)
	r.Charge("ann", -5)
	now.advance(maxOwed * time.Second)
	if r.Take("ann") == nil {
		t.Error("all that can be owed is not owed")
	}
	now.advance(110 * time.Millisecond)
	wantLimited(t, "paid again", r.Take("ann"), 0)
	wantLimited(t, "another key", r.Take("bob"), 0)
}
