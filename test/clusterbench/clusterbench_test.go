// Package clusterbench measures a whole cluster of real processes on one machine: three
// nodes, three NATS servers whose JetStream waits for the disk, shards on MariaDB and
// PostgreSQL as durable as they are installed, and Redis. "make bench-cluster" prints the
// figures; otherwise the tests run the same code for a moment, and judge no figure.
package clusterbench

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/bench"
	"github.com/roomtide/roomtide/internal/testcluster"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testfigures"
	"github.com/roomtide/roomtide/internal/testprocess"
)

var (
	rounds   = flag.Int("rounds", 5, "with -figures: how often each process is ended")
	shards   = flag.String("shards", "1,2,4,8", "with -figures: the numbers of shards to measure messages with")
	window   = flag.Int("window", 8, "messages in flight of a sender under full load")
	settings = flag.String("settings", "", "settings of the nodes, ROOMTIDE_…=…, separated by spaces")
)

var program *testprocess.Program

func TestMain(m *testing.M) {
	os.Exit(testprocess.Main(m, "", func(p *testprocess.Program) { program = p }))
}

// durable are the settings of the database servers that durability depends on. The logs
// are large enough not to be what is measured.
var durable = map[testdb.Engine][]string{
	testdb.Maria:    {"innodb_flush_log_at_trx_commit=1", "sync_binlog=1", "innodb_log_file_size=1G"},
	testdb.Postgres: {"fsync=on", "synchronous_commit=on", "full_page_writes=on", "max_wal_size=4GB"},
}

func start(t *testing.T, shards int) *testcluster.Cluster {
	t.Helper()
	return startWith(t, shards)
}

// startWith is start with further settings of the nodes.
func startWith(t *testing.T, shards int, env ...string) *testcluster.Cluster {
	t.Helper()
	return testcluster.Start(t, testcluster.Options{Program: program, Shards: shards, SQL: durable, Env: append(strings.Fields(*settings), env...)})
}

// spread are rooms that are spread over the nodes.
func spread() []string {
	if !*testfigures.Wanted {
		return []string{"--rooms", "9", "--members", "3", "--senders", "9", "--keys"}
	}
	return []string{"--rooms", "200", "--members", "10", "--senders", "200", "--keys"}
}

// long is what a run takes with -figures, and otherwise a moment.
func long(d time.Duration) string {
	if !*testfigures.Wanted {
		d = 500 * time.Millisecond
	}
	return d.String()
}

// load runs "roomtide bench" on all nodes of the cluster, as a process of its own.
// servers are the processes whose CPU is counted besides that of the nodes.
func load(t *testing.T, c *testcluster.Cluster, servers []int, args ...string) *bench.Result {
	t.Helper()
	var addrs []string
	for _, name := range testcluster.Names {
		addrs = append(addrs, c.Addr(name))
	}
	args = append([]string{
		"bench", "load", "--json", "--quiet", "--addr", strings.Join(addrs, ","), "--pid", join(c.NodePids()), "--database-pid", join(servers),
	}, args...)
	out, errs, err := program.Run(t.Context(), args...)
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, errs)
	}
	r := new(bench.Result)
	if err := json.Unmarshal([]byte(out), r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return r
}

func join(pids []int) string {
	var words []string
	for _, pid := range pids {
		words = append(words, strconv.Itoa(pid))
	}
	return strings.Join(words, ",")
}

func micros(d time.Duration, n int64) string {
	return fmt.Sprintf("%.0f", float64(d.Microseconds())/float64(n))
}

func millis(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }

// Durable messages in rooms of ten that are spread over three nodes, by the number of
// shards, as many as there can be and 600 a second.
func TestMessages(t *testing.T) {
	testfigures.Head("shards", "messages/s", "ack p50", "ack p99", "us of CPU a message: nodes", "all servers", "together", "600/s: ack p50", "p99", "us of CPU")
	list := "3"
	if *testfigures.Wanted {
		list = *shards
	}
	for word := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(fmt.Sprint(n, " shards"), func(t *testing.T) {
			c := startWith(t, n, "ROOMTIDE_METRICS_PUBLIC=true")
			rooms, flight := spread(), strconv.Itoa(*window)
			load(t, c, c.ServerPids(), append(rooms, "--window", flight, "--duration", long(3*time.Second))...) // caches fill
			ended, before := profile(t, c, n), workOf(t, c)
			full := load(t, c, c.ServerPids(), append(rooms, "--window", flight, "--duration", long(15*time.Second))...)
			ended()
			work := workOf(t, c)
			paced := load(t, c, c.ServerPids(), append(rooms, "--rate", "600", "--duration", long(15*time.Second))...)
			testfigures.Row(n, fmt.Sprintf("%.0f", float64(full.Acked)/full.Elapsed.Seconds()), millis(full.Ack.P50), millis(full.Ack.P99),
				micros(full.CPU(), full.Acked), micros(full.DatabaseCPU, full.Acked), micros(full.CPU()+full.DatabaseCPU, full.Acked),
				millis(paced.Ack.P50), millis(paced.Ack.P99), micros(paced.CPU()+paced.DatabaseCPU, paced.Acked))
			sayWork(t, before, work, full.Elapsed)
		})
	}
}

// profile takes a CPU profile of every node, and returns a function that waits for them.
func profile(t *testing.T, c *testcluster.Cluster, shards int) (wait func()) {
	t.Helper()
	var waits []func()
	for _, name := range testcluster.Names {
		waits = append(waits, testfigures.Profile(t, c.Pprof(name), fmt.Sprintf("cpu-%d-%s", shards, name), 15))
	}
	return func() {
		for _, wait := range waits {
			wait()
		}
	}
}

// What 10,000 users in 1,000 rooms cost who say nothing, for a minute, when the databases have
// been told who is online (storepresence writes that up to 40 s after they came), beside one
// user, who costs what a cluster at rest costs.
func TestPresenceAtRest(t *testing.T) {
	c := start(t, 2)
	rooms, rest, took := "1000", "1m", "1m"
	if !*testfigures.Wanted {
		rooms, rest, took = "5", "0s", "1s"
	}
	testfigures.Head("users online", "Redis, % of a core", "nodes", "Redis and nodes", "KB of a node's memory each")
	for _, size := range [][]string{{"--rooms", "1", "--members", "1"}, {"--rooms", rooms, "--members", "10"}} {
		r := load(t, c, []int{c.Redis.Pid()}, append([]string{"--mode", "idle", "--rest", rest, "--duration", took}, size...)...)
		share := func(d time.Duration) string { return fmt.Sprintf("%.2f", 100*d.Seconds()/r.Elapsed.Seconds()) }
		testfigures.Row(r.Connections, share(r.DatabaseCPU), share(r.CPU()), share(r.CPU()+r.DatabaseCPU), fmt.Sprintf("%.2f", float64(r.RSSPerIdle)/1024))
	}
}
