package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/roomtide/roomtide/cluster"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/doctor"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testnats"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/internal/testredis"
	"github.com/roomtide/roomtide/server"
	"github.com/roomtide/roomtide/store"
)

// joins are the nodes of one deployment with which another one wants to start.
type joins struct {
	*nodes
	servers *testnats.Servers
	control store.Control
	prefix  string // of subjects
	key     string // digest of the key for tokens
}

func newJoins(t *testing.T) *joins {
	j := &joins{servers: testnats.Start(t, 1, nil)}
	dsn := testdb.MariaDB(t)
	j.nodes = newNodes(t, dsn)
	j.env = append(j.env, "ROOMTIDE_NATS_URL="+j.servers.URL(0))
	j.start("a")
	cfg := config.Default()
	cfg.DataDir, cfg.Shards = t.TempDir(), []config.Shard{{DSN: dsn}}
	var err error
	if j.control, err = server.OpenControl(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.control.Close() })
	deployment, err := j.control.Deployment(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	j.prefix = "rt." + deployment
	peers, err := j.hellos(cluster.Hello{Visitor: true}, 0).Ask(t.Context(), 0, 20*time.Second, []string{"a"})
	if err != nil || len(peers) != 1 || peers[0].Level != cluster.Level || !peers[0].Serving {
		t.Fatalf("node a says %+v, %v", peers, err)
	}
	j.key = peers[0].TokenKey
	return j
}

// hellos speaks as a node whose clock is ahead, until the test ends or Close.
func (j *joins) hellos(self cluster.Hello, ahead time.Duration) *cluster.Hellos {
	j.t.Helper()
	nc := j.servers.Connect(0)
	h, err := cluster.OpenHellos(cluster.HellosConfig{NATS: nc, Prefix: j.prefix, Self: self, Now: func() time.Time { return time.Now().Add(ahead) }})
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		j.t.Fatal(err)
	}
	j.t.Cleanup(h.Close)
	return h
}

// refused starts a node that does not come up, and looks at what it says.
func (j *joins) refused(name, key string, env []string, words ...string) {
	j.t.Helper()
	dir := j.t.TempDir()
	if key != "" {
		if err := os.WriteFile(filepath.Join(dir, "token.key"), []byte(key), 0o600); err != nil {
			j.t.Fatal(err)
		}
	}
	n := program.Start(j.t, dir, testprocess.FreeAddr(j.t), append(append(j.env, "ROOMTIDE_NODE="+name), env...)...)
	if code := n.Wait(60 * time.Second); code != 1 && code != 2 {
		j.t.Errorf("%s ends with %d, want %q", name, code, words)
	}
	for _, w := range words {
		if !strings.Contains(n.Stderr(), w) {
			j.t.Errorf("what %s says lacks %q:\n%s", name, w, n.Stderr())
		}
	}
}

// A node that does not belong to those that run is refused, with what to do, and the others
// go on.
func TestJoiningSafely(t *testing.T) {
	t.Parallel()
	j := newJoins(t)
	j.refused("a", "", nil, "a node with the name a runs already", "--node")
	j.refused("b", strings.Repeat("ab", 32), nil, "the key for tokens of this node is another one than that of node a", "token.key", "token_key_file")
	j.refused("b", "", []string{"ROOMTIDE_TOKEN_KEY_FILE=" + filepath.Join(t.TempDir(), "shared.key")}, "token_key_file", "openssl rand -hex 32")

	late := j.hellos(cluster.Hello{Node: "late", Level: cluster.Level, TokenKey: j.key}, time.Minute)
	late.Serve()
	j.refused("b", "", nil, "the clock of node late is ", "s ahead of that of this node", "chrony") // a minute, less half of the round trip
	late.Close()

	copied := j.hellos(cluster.Hello{Node: "copied", Level: cluster.Level, TokenKey: j.key}, 0)
	copied.Serve()
	j.refused("b", "", nil, "node copied answers on NATS", "has another control database", "account of their own")
	copied.Close()

	newer := j.hellos(cluster.Hello{Node: "newer", Version: "v7.0.0", Level: cluster.Level + 2, TokenKey: j.key}, 0)
	newer.Serve()
	j.refused("b", "", nil, "node newer runs Roomtide v7.0.0", "one level apart")
	newer.Close()

	apart := j.hellos(cluster.Hello{Node: "apart", Level: cluster.Level, TokenKey: j.key, ShardNames: []string{"elsewhere"}}, 0)
	apart.Serve()
	j.refused("b", "", nil, "node apart has the shards elsewhere, and this node ", "Correct [[shards]]")
	if all := j.findings(); !regexp.MustCompile(`(?m)^fail .*/node \S+: it has the shards .*, and node .* has .* -> give all nodes the same`).MatchString(all) {
		t.Errorf("doctor says of a node with other shards:\n%s", all)
	}
	apart.Close()

	level, err := j.control.Level(t.Context())
	if err != nil || level.Number != cluster.Level || level.Version == "" {
		t.Errorf("the level of the data is %+v, %v", level, err)
	}
	if err := j.control.RaiseLevel(t.Context(), store.Level{Number: cluster.Level + 1, Version: "v6.5.0"}); err != nil {
		t.Fatal(err)
	}
	const old = "were written by Roomtide v6.5.0"
	j.refused("b", "", nil, old, "use version v6.5.0 or a newer one")
	if all := j.findings(); !regexp.MustCompile(`(?m)^fail databases/\S+: .*` + old + `.* or a newer one -> $`).MatchString(all) {
		t.Errorf("doctor of an old program says:\n%s", all)
	}
	if _, errs, err := program.RunWith(testContext(t), j.env, "key", "list", "--data-dir", j.dirs["a"]); err == nil || !strings.Contains(errs, old) {
		t.Errorf("a verb of an old program: %v %s", err, errs)
	}
	ann := user(t, j.run["a"], "ann")
	join(t, ann, "lobby")
}

// Servers that are not what the settings ask for are named, with what to do.
func TestServersThatAreNotEnough(t *testing.T) {
	t.Parallel()
	locked := testnats.Start(t, 1, func(o *natsserver.Options) { o.Username, o.Password = "chat", "right" })
	streams := testnats.Start(t, 1, func(o *natsserver.Options) { o.JetStream, o.StoreDir = true, t.TempDir() })
	redis := testredis.Start(t, "--databases", "4")
	j := &joins{nodes: newNodes(t, testdb.MariaDB(t))}
	j.refused("a", "", []string{"ROOMTIDE_QUEUE_MODE=overflow"}, "the NATS servers have no JetStream", "queue.mode")
	j.refused("a", "", []string{"ROOMTIDE_QUEUE_MODE=overflow", "ROOMTIDE_QUEUE_REPLICAS=3", "ROOMTIDE_QUEUE_MIB=16", "ROOMTIDE_NATS_URL=" + streams.URL(0)},
		"the NATS server is alone", "queue.replicas", "three servers")
	wrong := []string{"ROOMTIDE_NATS_URL=" + locked.URL(0), "ROOMTIDE_NATS_USER=chat", "ROOMTIDE_NATS_PASSWORD=wrong-one"}
	j.refused("a", "", wrong, "the NATS server refuses the user, the password")
	if n := program.Start(t, t.TempDir(), testprocess.FreeAddr(t), append(j.env, wrong...)...); n.Wait(60*time.Second) == 0 || strings.Contains(n.Stderr(), "wrong-one") {
		t.Errorf("the password is shown: %s", n.Stderr())
	}
	j.env = append(j.env, "ROOMTIDE_REDIS="+strings.TrimSuffix(redis.URL(), "/0")+"/9")
	if n := j.start("a"); !strings.Contains(n.Stderr(), "redis has no database of this number") {
		t.Errorf("a wrong database in Redis: %s", n.Stderr())
	}
}

// findings runs doctor on the machine of node a, and returns a line for each finding.
func (j *joins) findings(args ...string) string {
	j.t.Helper()
	return findings(j.t, append(j.env, "ROOMTIDE_NODE=a"), append(args, "--data-dir", j.dirs["a"])...)
}

// findings runs doctor, and returns a line for each finding.
func findings(t *testing.T, env []string, args ...string) string {
	t.Helper()
	out, errs, _ := program.RunWith(testContext(t), env, append([]string{"doctor", "--json"}, args...)...)
	var answer struct{ Findings []doctor.Finding }
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatalf("%v: %s%s", err, out, errs)
	}
	var lines strings.Builder
	for _, f := range answer.Findings {
		fmt.Fprintf(&lines, "%s %s/%s: %s -> %s\n", f.Level, f.Section, f.Check, f.Text, f.Help)
	}
	return lines.String()
}

// Doctor looks at NATS, the queue and its servers' disks, and the other nodes.
func TestDoctorSeesTheCluster(t *testing.T) {
	t.Parallel()
	sync := false
	start := func() *testnats.Servers {
		return testnats.Start(t, 1, func(o *natsserver.Options) {
			o.JetStream, o.StoreDir, o.SyncAlways, o.HTTPHost, o.HTTPPort = true, t.TempDir(), sync, "127.0.0.1", -1
		})
	}
	j := &joins{nodes: newNodes(t, testdb.MariaDB(t)), servers: start()}
	j.env = append(j.env, "ROOMTIDE_NATS_URL="+j.servers.URL(0), "ROOMTIDE_QUEUE_MODE=overflow", "ROOMTIDE_QUEUE_MIB=16")
	found := func(args []string, patterns ...string) {
		t.Helper()
		all := j.findings(args...)
		for _, p := range patterns {
			if !regexp.MustCompile("(?m)^" + p).MatchString(all) {
				t.Errorf("no finding is like %q:\n%s", p, all)
			}
		}
	}
	j.start("a")
	monitor := []string{"--nats-monitor", j.servers.Monitor(0)}
	found(monitor, `ok cluster/nats: nats://127\S+ answers, version 2\.`, `warn cluster/queue: it is on one NATS server`,
		`warn cluster/sync_interval: NATS server \S+ does not wait for its disk .*sync_interval: always`, `ok cluster/node a: runs, version`)
	found(nil, `warn cluster/sync_interval: it cannot be seen: no monitoring of NATS answers at http://127.0.0.1:8222 .*--nats-monitor`)

	cfg := config.Default()
	cfg.DataDir, cfg.Shards = t.TempDir(), []config.Shard{{DSN: strings.TrimPrefix(j.env[0], "ROOMTIDE_SHARD=")}}
	control, err := server.OpenControl(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	deployment, err := control.Deployment(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	j.prefix = "rt." + deployment
	keys := map[string]string{}
	for _, name := range []string{"here", "there"} {
		secret, err := server.NewVAPIDKey()
		if err != nil {
			t.Fatal(err)
		}
		cfg.Push.WebPushKeyFile = filepath.Join(t.TempDir(), "webpush.key")
		if err := os.WriteFile(cfg.Push.WebPushKeyFile, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
		key, err := server.VAPIDKey(cfg, false)
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = key.String()
	}
	real, err := j.hellos(cluster.Hello{Visitor: true}, 0).Ask(t.Context(), 0, 20*time.Second, []string{"a"})
	i := slices.IndexFunc(real, func(p cluster.Peer) bool { return p.Serving })
	if err != nil || i < 0 {
		t.Fatalf("%+v, %v", real, err)
	}
	j.env = append(j.env, "ROOMTIDE_PUSH_WEBPUSH_SUBJECT=mailto:you@example.org", "ROOMTIDE_PUSH_WEBPUSH_KEY_FILE="+cfg.Push.WebPushKeyFile)
	hello := cluster.Hello{Node: "c", WebPush: keys["here"], TokenKey: real[i].TokenKey, Level: cluster.Level}
	j.hellos(hello, 0)
	hello.Node, hello.WebPush = "d", keys["there"]
	j.hellos(hello, 0)
	found(nil, `fail cluster/node c: it has another key for Web Push .*webpush_key_file`, `ok cluster/node d: runs`, `warn cluster/node a: it sends no notifications to browsers`)
	if n := j.start("e"); !strings.Contains(n.Stderr(), "the key of Web Push is another one than that of other nodes") || !strings.Contains(n.Stderr(), "nodes=[c]") {
		t.Errorf("a node with another key starts and says: %s", n.Stderr())
	}

	j.hellos(cluster.Hello{Node: "b", Version: "v9", Level: cluster.Level, TokenKey: "another"}, 0)
	j.hellos(cluster.Hello{Node: "a", Version: "v9", Level: cluster.Level + 1}, time.Minute)
	found(nil, `fail cluster/node b: it has another key for tokens .*token_key_file`, `fail cluster/node a: 2 processes have this name`, `warn cluster/versions: `)

	sync = true
	j.servers = start()
	j.env = append(j.env, "ROOMTIDE_NATS_URL="+j.servers.URL(0))
	found([]string{"--nats-monitor", j.servers.Monitor(0)}, `warn cluster/queue: JetStream answers, and there is no stream yet`, `ok cluster/sync_interval: always`, `warn cluster/nodes: none runs`)
	j.servers.Stop(0)
	found(nil, `fail cluster/nats: no NATS server answers at nats://127`)
}
