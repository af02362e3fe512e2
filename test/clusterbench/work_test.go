package clusterbench

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testcluster"
	"github.com/roomtide/roomtide/internal/testfigures"
)

// metric is the sum over a metric's labels at a node, which serves metrics without a key.
func metric(t *testing.T, c *testcluster.Cluster, node, name string) (sum float64) {
	t.Helper()
	resp, err := http.Get("http://" + c.Addr(node) + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(body), "\n") {
		rest, is := strings.CutPrefix(line, name)
		if !is || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		n, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// work is what the lanes of a node have done.
type work struct{ changes, commits, seconds float64 }

// workOf returns the work of each node until now.
func workOf(t *testing.T, c *testcluster.Cluster) map[string]work {
	t.Helper()
	all := map[string]work{}
	for _, name := range testcluster.Names {
		all[name] = work{
			changes: metric(t, c, name, "roomtide_lane_changes_total"),
			commits: metric(t, c, name, "roomtide_lane_commit_seconds_count"),
			seconds: metric(t, c, name, "roomtide_lane_commit_seconds_sum"),
		}
	}
	return all
}

// sayWork prints what the lanes of each node did under a load: where a message waits that
// is not in a commit, it waits for one.
func sayWork(t *testing.T, before, after map[string]work, took time.Duration) {
	t.Helper()
	all := 0.0
	for _, name := range testcluster.Names {
		a, b := before[name], after[name]
		w := work{b.changes - a.changes, b.commits - a.commits, b.seconds - a.seconds}
		all += w.changes
		if w.commits > 0 && *testfigures.Wanted {
			fmt.Printf("node %s: %.0f changes a second, %.1f in a commit, %.1f ms a commit, %.0f %% of the time in commits\n",
				name, w.changes/took.Seconds(), w.changes/w.commits, 1000*w.seconds/w.commits, 100*w.seconds/took.Seconds())
		}
	}
	if all == 0 {
		t.Error("no lane has decided anything")
	}
}
