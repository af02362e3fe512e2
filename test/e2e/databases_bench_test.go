package e2e

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/roomtide/roomtide/bench"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// BenchmarkRooms is the scenario rooms of "roomtide bench" on one node with four
// shards: in SQLite files, and in one database of each kind, whose server does not
// acknowledge before the disk has it. CPU is that of the node and of the database
// server, a message.
func BenchmarkRooms(b *testing.B) {
	run := func(b *testing.B, flags []string, server int) {
		for b.Loop() {
			n := program.StartWith(b, b.TempDir(), testprocess.FreeAddr(b), flags)
			n.Ready()
			ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
			out, errs, err := program.Run(ctx, "bench", "rooms", "--json", "--addr", n.Addr,
				"--pid", strconv.Itoa(n.Pid()), "--database-pid", strconv.Itoa(server))
			cancel()
			if err != nil {
				b.Fatalf("%v\n%s%s", err, out, errs)
			}
			var r bench.Result
			if err := json.Unmarshal([]byte(out), &r); err != nil {
				b.Fatal(err)
			}
			perMessage := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(r.Acked) }
			b.ReportMetric(float64(r.Acked)/r.Elapsed.Seconds(), "messages/s")
			b.ReportMetric(perMessage(r.CPU()), "node-us/message")
			b.ReportMetric(perMessage(r.DatabaseCPU), "server-us/message")
			b.ReportMetric(perMessage(r.CPU()+r.DatabaseCPU), "both-us/message")
			b.ReportMetric(float64(r.Ack.P50.Milliseconds()), "p50-ack-ms")
			b.ReportMetric(float64(r.Ack.P99.Milliseconds()), "p99-ack-ms")
			b.ReportMetric(0, "ns/op")
			n.Terminate(20 * time.Second)
		}
	}
	b.Run("sqlite", func(b *testing.B) { run(b, nil, 0) })
	for _, e := range testdb.Engines {
		b.Run(string(e), func(b *testing.B) {
			s := testdb.Start(b, e)
			u, err := url.Parse(s.Database())
			if err != nil {
				b.Fatal(err)
			}
			var flags []string
			for _, prefix := range []string{"a_", "b_", "c_", "d_"} {
				u.RawQuery = url.Values{"prefix": {prefix}}.Encode()
				flags = append(flags, "--shard", u.String())
			}
			run(b, flags, s.Pid())
		})
	}
}
