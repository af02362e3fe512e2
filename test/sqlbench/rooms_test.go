package sqlbench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testfigures"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// The bounds of the whole road.
const (
	leastMessages = 8000 // durable ones a second
	mostTogether  = 110  // microseconds of CPU a message, node and SQL server
)

// TestRooms measures a node under load: 200 rooms of 10, with four shards in files, and
// then with four on one server of each engine.
func TestRooms(t *testing.T) {
	if !*testfigures.Wanted {
		t.Skip("a minute of load: make bench-sql")
	}
	program, err := testprocess.Build("")
	must(t, err)
	t.Cleanup(func() { must(t, program.Remove()) })
	testfigures.Row("shards", "messages/s", "us of CPU a message: node", "SQL server", "together", "ack p50", "p99")
	testfigures.Row("---", "---", "---", "---", "---", "---", "---")
	files := underLoad(t, program, "4 SQLite files", "", nil)
	for _, e := range testdb.Engines {
		server := testdb.Start(t, e, settings[e]...)
		var shards []string
		for range 4 {
			shards = append(shards, server.Database())
		}
		r := underLoad(t, program, "4 on one "+string(e), strings.Join(shards, " "), server)
		switch {
		case r.rate < leastMessages:
			t.Errorf("%s: %.0f messages a second, fewer than %d", e, r.rate, leastMessages)
		case r.node+r.sql > mostTogether:
			t.Errorf("%s: %.0f us a message, more than %d", e, r.node+r.sql, mostTogether)
		case r.node > files.node:
			t.Errorf("%s: the node uses %.0f us a message, and %.0f with SQLite, which stores by itself", e, r.node, files.node)
		}
	}
}

// road is what a message costs: how many there are in a second, and microseconds of CPU.
type road struct{ rate, node, sql float64 }

// underLoad runs a node on the shards under load, and prints a line.
func underLoad(t *testing.T, program *testprocess.Program, name, shards string, server *testdb.Server) road {
	t.Helper()
	var env []string
	if shards != "" {
		env = []string{"ROOMTIDE_SHARD=" + shards}
	}
	addr := testprocess.FreeAddr(t)
	node := program.Start(t, t.TempDir(), addr, env...)
	node.Ready()
	run := func(duration string) (loadResult, time.Duration) {
		before := cpu(t, server)
		out, errs, err := program.Run(ctx, "bench", "rooms", "--duration", duration, "--json", "--addr", addr, "--pid", strconv.Itoa(node.Pid()))
		if err != nil {
			t.Fatalf("%v\n%s", err, errs)
		}
		var r loadResult
		if err := json.Unmarshal([]byte(out), &r); err != nil || r.Acked == 0 || r.Took == 0 {
			t.Fatalf("%v: %s", err, out)
		}
		return r, cpu(t, server) - before
	}
	// Both runs make the rooms and their members; the difference is the messages.
	short, shortUsed := run("2s")
	r, used := run("12s")
	node.Terminate(time.Minute)
	if r.Acked <= short.Acked {
		t.Fatalf("%d messages in a long run, %d in a short one", r.Acked, short.Acked)
	}
	us := func(d time.Duration, messages int64) float64 { return float64(d.Microseconds()) / float64(messages) }
	x := road{float64(r.Acked) / r.Took.Seconds(), us(r.User+r.Sys, r.Acked), us(used-shortUsed, r.Acked-short.Acked)}
	testfigures.Row(name, fmt.Sprintf("%.0f", x.rate), fmt.Sprintf("%.0f", x.node), fmt.Sprintf("%.0f", x.sql), fmt.Sprintf("%.0f", x.node+x.sql),
		r.Ack.P50.Round(time.Millisecond), r.Ack.P99.Round(time.Millisecond))
	return x
}

// loadResult is what is used of the JSON of "roomtide bench".
type loadResult struct {
	Acked int64         `json:"acked"`
	Took  time.Duration `json:"elapsed_ns"`
	User  time.Duration `json:"server_user_ns"`
	Sys   time.Duration `json:"server_sys_ns"`
	Ack   struct {
		P50 time.Duration `json:"p50_ns"`
		P99 time.Duration `json:"p99_ns"`
	} `json:"ack"`
}

// cpu is the time that the processes of a server have used.
func cpu(t testing.TB, server *testdb.Server) (total time.Duration) {
	t.Helper()
	if server == nil {
		return 0
	}
	pid := strconv.Itoa(server.Pid())
	entries, err := os.ReadDir("/proc")
	must(t, err)
	for _, e := range entries {
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // no process, or one that has ended
		}
		// Behind the name, which may hold anything: state, parent, and so on.
		f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if e.Name() != pid && string(f[1]) != pid {
			continue
		}
		times := f[11:13]
		if e.Name() == pid {
			times = f[11:15] // with children that have ended
		}
		for _, ticks := range times {
			n, err := strconv.ParseInt(string(ticks), 10, 64)
			must(t, err)
			total += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return total
}
