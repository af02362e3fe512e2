// Package testcluster runs a whole cluster of real processes for a test: nodes of a built
// program, NATS servers, MariaDB and PostgreSQL, Redis, and a balancer before the nodes. Everything is durable as an
// operator would have it, and everything can be killed, paused and started again. With
// fault proxies each node has its own way to each server, which can be cut.
package testcluster

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roomtide/roomtide/cluster"
	"github.com/roomtide/roomtide/internal/faultproxy"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testnats"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/internal/testredis"
)

// Options say what a cluster consists of.
type Options struct {
	Program *testprocess.Program
	Shards  int      // by turns on MariaDB and on PostgreSQL
	Env     []string // settings of every node, "ROOMTIDE_…=…"
	Proxied bool     // fault proxies between nodes and servers, and between NATS servers
	Clocks  bool     // the program is built with the tag "planted", and SetClock is there
	Store   string   // where the last NATS server keeps the queue; "": as the others
	Tables  string   // where PostgreSQL keeps what is in databases; "": in its data directory
	Log     string   // where PostgreSQL keeps its write-ahead log; "": there too

	SQL map[testdb.Engine][]string // further settings of the database servers
}

// patience is how long the cluster may take for anything, on a slow machine.
const patience = 5 * time.Minute

// Names are those of the nodes.
var Names = []string{"a", "b", "c"}

// engines are the database servers, in the order of shards.
var engines = []testdb.Engine{testdb.Maria, testdb.Postgres}

// Cluster is a running cluster. A test uses it from one goroutine.
type Cluster struct {
	NATS  *testnats.Processes
	SQL   []*testdb.Server
	Redis *testredis.Server
	Nodes map[string]*testprocess.Node // those that run, and are not paused
	Ways  map[string]*Ways             // of the nodes; nil without proxies

	// Routes are the proxies at which a NATS server, the first index, finds another one;
	// nil without proxies, and for the way of a server to itself.
	Routes [][]*faultproxy.Proxy

	Balancer *Balancer // to the nodes that run

	t      testing.TB
	o      Options
	shards []string // addresses of the databases
	dirs   map[string]string
	files  map[string]string // settings
	addrs  map[string]string // the same for every process of a node
	pprofs map[string]string
	clocks map[string]string   // files, see SetClock
	env    map[string][]string // see Set
	paused map[string]*testprocess.Node
	began  []*testprocess.Node // all that were ever started
}

// Databases are the addresses of the shards, straight to their servers.
func (c *Cluster) Databases() []string { return c.shards }

// Start starts all servers and nodes, and waits until all lanes are
// served, evenly.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	c := &Cluster{
		t: t, o: o, Redis: testredis.Start(t), Nodes: map[string]*testprocess.Node{},
		dirs: map[string]string{}, files: map[string]string{}, addrs: map[string]string{}, pprofs: map[string]string{},
		clocks: map[string]string{}, env: map[string][]string{}, paused: map[string]*testprocess.Node{}, Balancer: newBalancer(t),
	}
	c.NATS = testnats.StartProcesses(t, len(Names), c.layRoutes())
	for _, e := range engines[:min(o.Shards, len(engines))] {
		s := testdb.Start(t, e, o.SQL[e]...)
		if e == testdb.Postgres && o.Log != "" {
			c.moveLog(s)
		}
		c.SQL = append(c.SQL, s)
	}
	for i := range o.Shards {
		c.shards = append(c.shards, c.database(c.SQL[i%len(c.SQL)]))
	}
	for _, name := range Names {
		c.dirs[name], c.addrs[name], c.pprofs[name] = t.TempDir(), testprocess.FreeAddr(t), testprocess.FreeAddr(t)
		if o.Proxied {
			c.layWays(name)
		}
		c.writeShards(name)
		if o.Clocks {
			c.clocks[name] = filepath.Join(t.TempDir(), "clock")
			c.SetClock(name, 0)
		}
	}
	for _, name := range Names {
		c.StartNode(name)
	}
	c.Even()
	return c
}

// Env is the environment of a node's commands. The nearest NATS server is another one for
// each node.
func (c *Cluster) Env(name string) []string {
	var nats []string
	nth := slices.Index(Names, name)
	redis := c.Redis.Addr
	for i := range Names {
		server := (nth + i) % len(Names)
		addr := c.NATS.Addr(server)
		if c.Ways != nil {
			addr = c.Ways[name].NATS[server].Addr()
		}
		nats = append(nats, "nats://"+addr)
	}
	if c.Ways != nil {
		redis = c.Ways[name].Redis.Addr()
	}
	return append([]string{
		"ROOMTIDE_NODE=" + name, "ROOMTIDE_CONFIG=" + c.files[name], "ROOMTIDE_NATS_URL=" + strings.Join(nats, ","),
		"ROOMTIDE_REDIS=redis://" + redis + "/0", "ROOMTIDE_PPROF=" + c.pprofs[name],
	}, slices.Concat(c.o.Env, c.clock(name), c.env[name])...)
}

func (c *Cluster) clock(name string) []string {
	if !c.o.Clocks {
		return nil
	}
	return []string{"ROOMTIDE_PLANTED_CLOCK=" + c.clocks[name]}
}

// Set gives a node further settings, "ROOMTIDE_…=…", from its next start on.
func (c *Cluster) Set(name string, env ...string) { c.env[name] = env }

// SetClock has the clock of a node jump to so much ahead of the machine's.
func (c *Cluster) SetClock(name string, ahead time.Duration) {
	c.t.Helper()
	f, err := os.OpenFile(c.clocks[name], os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(binary.LittleEndian.AppendUint64(nil, uint64(ahead))); err != nil { // at once, as it is read
		c.t.Fatal(err)
	}
}

// writeShards writes the settings file of a node: shards have the same name on all nodes,
// whatever address they have there.
func (c *Cluster) writeShards(name string) {
	var b strings.Builder
	for i, dsn := range c.shards {
		if c.Ways != nil {
			dsn = through(name, dsn, c.Ways[name].SQL[i%len(c.SQL)])
		}
		fmt.Fprintf(&b, "[[shards]]\nname = \"shard%d\"\ndsn = %q\n", i, dsn)
	}
	c.files[name] = filepath.Join(c.t.TempDir(), "roomtide.toml")
	if err := os.WriteFile(c.files[name], []byte(b.String()), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// Begin starts a node and does not wait until it is ready.
func (c *Cluster) Begin(name string, env ...string) *testprocess.Node {
	c.t.Helper()
	n := c.o.Program.Start(c.t, c.dirs[name], c.addrs[name], append(c.Env(name), env...)...)
	c.Nodes[name] = n
	c.began = append(c.began, n)
	return n
}

// Logged counts the lines with a text in what all nodes have written, those that have ended too.
func (c *Cluster) Logged(text string) (lines int) {
	for _, n := range c.began {
		lines += strings.Count(n.Stderr(), text)
	}
	return lines
}

// StartNode starts a node and waits until it is ready.
func (c *Cluster) StartNode(name string) *testprocess.Node {
	c.t.Helper()
	n := c.Begin(name)
	n.Ready()
	c.Balancer.set(name, n.Addr)
	return n
}

// StartAlone starts a node that knows of no others, and waits until it is ready. Nodes that
// were killed are in its way until their leases have run out.
func (c *Cluster) StartAlone(name string) *testprocess.Node {
	c.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		n := c.Begin(name, "ROOMTIDE_NATS_URL=", "ROOMTIDE_QUEUE_MODE=off")
		if n.WaitStatus("/readyz", http.StatusOK) == http.StatusOK {
			c.Balancer.set(name, n.Addr)
			return n
		}
		if !strings.Contains(n.Stderr(), "are in use by node") || time.Now().After(deadline) {
			c.t.Fatalf("node %s does not start alone\n%s", name, n.Stderr())
		}
	}
}

// StopNode ends a node with SIGTERM, when the balancer has turned away from it, and
// returns its exit code.
func (c *Cluster) StopNode(name string) (code int) {
	c.t.Helper()
	c.Balancer.set(name, "")
	code = c.Nodes[name].Terminate(patience)
	delete(c.Nodes, name)
	return code
}

// Dir is the data directory of a node.
func (c *Cluster) Dir(name string) string { return c.dirs[name] }

// Addr is where a node listens.
func (c *Cluster) Addr(name string) string { return c.addrs[name] }

// Pprof is the URL of a node's profiles.
func (c *Cluster) Pprof(name string) string { return "http://" + c.pprofs[name] + "/debug/pprof/" }

// KillNode ends a node with SIGKILL.
func (c *Cluster) KillNode(name string) {
	c.t.Helper()
	c.Nodes[name].Kill()
	delete(c.Nodes, name)
	c.Balancer.set(name, "")
}

// PauseNode halts a node with SIGSTOP. The balancer does not know.
func (c *Cluster) PauseNode(name string) {
	c.t.Helper()
	c.signal(c.Nodes[name], syscall.SIGSTOP)
	c.paused[name] = c.Nodes[name]
	delete(c.Nodes, name)
}

// ContinueNode undoes PauseNode.
func (c *Cluster) ContinueNode(name string) {
	c.t.Helper()
	c.signal(c.paused[name], syscall.SIGCONT)
	c.Nodes[name] = c.paused[name]
	delete(c.paused, name)
}

func (c *Cluster) signal(n *testprocess.Node, s syscall.Signal) {
	c.t.Helper()
	if err := syscall.Kill(n.Pid(), s); err != nil {
		c.t.Fatal(err)
	}
}

// NodePids are the processes of the nodes, and ServerPids those of all others.
func (c *Cluster) NodePids() (pids []int) {
	for _, name := range Names {
		if n := c.Nodes[name]; n != nil {
			pids = append(pids, n.Pid())
		}
	}
	return pids
}

// ServerPids are the processes of the servers that nodes use.
func (c *Cluster) ServerPids() []int {
	pids := append(c.NATS.Pids(), c.Redis.Pid())
	for _, s := range c.SQL {
		pids = append(pids, s.Pid())
	}
	return pids
}

// Lanes asks the nodes that run who owns which lanes: names of shards by node. It is nil
// if none of them answers.
func (c *Cluster) Lanes() map[string][]string {
	for name := range c.Nodes {
		ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second) // a node may hang
		out, _, err := c.o.Program.RunWith(ctx, nil, "nodes", "--json", "--data-dir", c.dirs[name])
		cancel()
		if err != nil {
			continue
		}
		var answer struct{ Nodes []cluster.Info }
		if err := json.Unmarshal([]byte(out), &answer); err != nil {
			c.t.Fatal(err)
		}
		lanes := map[string][]string{}
		for _, n := range answer.Nodes {
			if n.Alive {
				lanes[n.Name] = n.Lanes
			}
		}
		return lanes
	}
	return nil
}

// Served waits until the nodes that run own all lanes.
func (c *Cluster) Served() { c.t.Helper(); c.until(false) }

// Even waits until the nodes that run own all lanes, none more than its share.
func (c *Cluster) Even() { c.t.Helper(); c.until(true) }

// IsEven reports whether the nodes that run own all lanes, none more than its share.
func (c *Cluster) IsEven() bool { return c.complete(c.Lanes(), true) }

func (c *Cluster) until(even bool) {
	c.t.Helper()
	last := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		lanes := c.Lanes()
		if c.complete(lanes, even) {
			return
		}
		last = fmt.Sprint(lanes)
		<-time.After(20 * time.Millisecond)
	}
	c.t.Fatalf("not all lanes are served by all nodes: %s", last)
}

func (c *Cluster) complete(lanes map[string][]string, even bool) bool {
	owned, share := 0, (len(c.shards)+len(c.Nodes)-1)/len(c.Nodes)
	for name := range c.Nodes {
		if _, alive := lanes[name]; !alive || even && len(lanes[name]) > share {
			return false
		}
		owned += len(lanes[name])
	}
	return owned == len(c.shards)
}
