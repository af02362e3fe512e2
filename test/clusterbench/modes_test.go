package clusterbench

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/roomtide/roomtide/bench"
	"github.com/roomtide/roomtide/internal/testcluster"
	"github.com/roomtide/roomtide/internal/testfigures"
)

// What it costs that every change goes through the durable queue first: the same load on
// nodes of both modes, one behind the other, and how many times as much the second takes.
func TestQueueModes(t *testing.T) {
	testfigures.Head("queue.mode", "messages/s", "ack p50", "ack p99", "us of CPU a message, together", "600/s: ack p50", "p99", "us of CPU")
	type figures struct{ full, paced *bench.Result }
	all := map[string]figures{}
	modes := []string{"overflow", "always"}
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			c := startWith(t, 3, "ROOMTIDE_QUEUE_MODE="+mode, "ROOMTIDE_METRICS_PUBLIC=true")
			rooms, flight := spread(), strconv.Itoa(*window)
			load(t, c, c.ServerPids(), append(rooms, "--window", flight, "--duration", long(3*time.Second))...) // caches fill
			f := figures{
				full:  load(t, c, c.ServerPids(), append(rooms, "--window", flight, "--duration", long(15*time.Second))...),
				paced: load(t, c, c.ServerPids(), append(rooms, "--rate", "600", "--duration", long(15*time.Second))...),
			}
			if queued := accepted(t, c); mode == "always" && queued < float64(f.full.Acked+f.paced.Acked) {
				t.Errorf("%.0f of %d messages were in the queue", queued, f.full.Acked+f.paced.Acked)
			}
			all[mode] = f
			testfigures.Row(mode, fmt.Sprintf("%.0f", rate(f.full)), millis(f.full.Ack.P50), millis(f.full.Ack.P99), fmt.Sprintf("%.0f", cost(f.full)),
				millis(f.paced.Ack.P50), millis(f.paced.Ack.P99), fmt.Sprintf("%.0f", cost(f.paced)))
		})
	}
	a, b := all[modes[0]], all[modes[1]]
	if a.full == nil || b.full == nil {
		t.Fatal("a mode was not measured")
	}
	times := func(a, b float64) string { return fmt.Sprintf("%.2f", b/a) }
	took := func(a, b time.Duration) string { return times(float64(a), float64(b)) }
	testfigures.Row("always / overflow", times(rate(a.full), rate(b.full)), took(a.full.Ack.P50, b.full.Ack.P50), took(a.full.Ack.P99, b.full.Ack.P99), times(cost(a.full), cost(b.full)),
		took(a.paced.Ack.P50, b.paced.Ack.P50), took(a.paced.Ack.P99, b.paced.Ack.P99), times(cost(a.paced), cost(b.paced)))
}

// rate is in messages a second, cost in microseconds of all processes but the load.
func rate(r *bench.Result) float64 { return float64(r.Acked) / r.Elapsed.Seconds() }

func cost(r *bench.Result) float64 {
	return float64((r.CPU() + r.DatabaseCPU).Microseconds()) / float64(r.Acked)
}

// accepted is how many messages the nodes have put into the queue.
func accepted(t *testing.T, c *testcluster.Cluster) (n float64) {
	t.Helper()
	for _, name := range testcluster.Names {
		n += metric(t, c, name, "roomtide_relay_accepted_total")
	}
	return n
}
