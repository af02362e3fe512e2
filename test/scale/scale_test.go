// Package scale calculates how far nodes and databases go from what was measured.
package scale

import (
	"flag"
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	document   = "../../docs/scale.md"
	benchmarks = "../../docs/benchmarks.md"
	begin, end = "<!-- scale -->\n", "<!-- /scale -->"
)

var update = flag.Bool("update", false, "write the table of docs/scale.md anew")

// costs are measured: in us of CPU for a message, in KB for an idle connection.
type costs struct{ node, sql, idle, delivery float64 }

// measured reads the costs out of the tables of docs/benchmarks.md. Where a table has
// several figures the most expensive one counts.
func measured(t *testing.T) (c costs) {
	t.Helper()
	text, err := os.ReadFile(benchmarks)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		row  string
		into []*float64
	}{
		{`(?m)^\| four on one MariaDB \| \d+ \| (\d+) \| (\d+) \|`, []*float64{&c.node, &c.sql}},
		{`(?m)^\| native \| [\d.]+ KB \| [\d.]+ to ([\d.]+) KB \|`, []*float64{&c.idle}},
		{`(?m)^\| ` + "`fanout`" + `: .*?\| \*\*Roomtide\*\* \| \d+ \| ([\d.]+) \|`, []*float64{&c.delivery}},
	} {
		m := regexp.MustCompile(f.row).FindStringSubmatch(string(text))
		if m == nil {
			t.Fatalf("%s has no row %s", benchmarks, f.row)
		}
		for i, p := range f.into {
			if *p, err = strconv.ParseFloat(m[i+1], 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	return c
}

// Assumptions, which docs/scale.md names.
const (
	perUser = 2.0 / 60 // messages a second of a user that is online
	room    = 10       // users online in a room
	busy    = 0.5      // of a processor may be used
	cores   = 8        // of a machine
	memory  = 0.5      // of a machine's may be taken by connections
	ram     = 32e6     // KB of a machine
	perBox  = 100_000  // connections of a node: max_connections
)

// needs are machines for so many users online.
func needs(c costs, users float64) (messages, nodeCores, sqlCores, gigabytes float64, nodes, sql int) {
	messages = users * perUser
	// The figure for a node has ten deliveries of each message in it.
	nodeCores = messages * (c.node + math.Max(0, room-10)*c.delivery) / 1e6 / busy
	sqlCores = messages * c.sql / 1e6 / busy
	gigabytes = users * c.idle / 1e6
	nodes = int(math.Ceil(max(nodeCores/cores, users*c.idle/(ram*memory), users/perBox)))
	return messages, nodeCores, sqlCores, gigabytes, nodes, int(math.Ceil(sqlCores / cores))
}

// The table of docs/scale.md follows from the figures of docs/benchmarks.md.
func TestScale(t *testing.T) {
	c := measured(t)
	var b strings.Builder
	fmt.Fprintf(&b, "Costs: %g us of CPU a message for the node, %g us for the SQL server, %g KB a connection.\n\n", c.node, c.sql, c.idle)
	b.WriteString("| users online | messages/s | processors: nodes | SQL | GB for connections | nodes | SQL servers |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, users := range []float64{1e4, 1e5, 1e6, 1e7, 1e8} {
		m, n, s, g, nodes, sql := needs(c, users)
		fmt.Fprintf(&b, "| %.0f | %.0f | %.1f | %.1f | %.2f | %d | %d |\n", users, m, n, s, g, nodes, sql)
	}
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no table", document)
	}
	want := before + begin + b.String() + end + after
	if *update {
		if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Errorf("%s does not follow from %s: run make generate", document, benchmarks)
	}
}

// Twice the users need twice of everything, and dearer messages more processors.
func TestNeedsGrow(t *testing.T) {
	c := costs{node: 40, sql: 20, idle: 4, delivery: 1}
	m, n, s, g, _, _ := needs(c, 1e6)
	m2, n2, s2, g2, _, _ := needs(c, 2e6)
	if m2 != 2*m || math.Abs(n2-2*n) > 1e-9 || math.Abs(s2-2*s) > 1e-9 || g2 != 2*g {
		t.Error(m, n, s, g, m2, n2, s2, g2)
	}
	c.node *= 100
	if _, dear, _, _, nodes, _ := needs(c, 1e8); dear <= 5000*n || nodes <= 1000 {
		t.Error(dear, nodes)
	}
}
