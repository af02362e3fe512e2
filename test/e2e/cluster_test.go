package e2e

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/cluster"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// natsServer starts a NATS server in this process and returns its URL.
func natsServer(t *testing.T) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	return s.ClientURL()
}

// nodes are nodes of one cluster, which share everything but their data directories.
type nodes struct {
	t     *testing.T
	env   []string
	flags []string
	dirs  map[string]string
	run   map[string]*testprocess.Node
}

func newNodes(t *testing.T, dsns ...string) *nodes {
	return &nodes{
		t: t, dirs: map[string]string{}, run: map[string]*testprocess.Node{},
		env: []string{"ROOMTIDE_SHARD=" + strings.Join(dsns, " "), "ROOMTIDE_NATS_URL=" + natsServer(t), "ROOMTIDE_METRICS_PUBLIC=true"},
	}
}

func (ns *nodes) start(name string) *testprocess.Node {
	ns.t.Helper()
	if ns.dirs[name] == "" {
		ns.dirs[name] = ns.t.TempDir()
	}
	n := program.StartWith(ns.t, ns.dirs[name], testprocess.FreeAddr(ns.t), ns.flags, append(ns.env, "ROOMTIDE_NODE="+name)...)
	n.Ready()
	ns.run[name] = n
	return n
}

// until waits for the lanes to be spread as ok wants it, as a node sees them.
func (ns *nodes) until(via, what string, ok func(lanes map[string]int) bool) {
	ns.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		ctx, cancel := context.WithTimeout(ns.t.Context(), 10*time.Second)
		out, errs, err := program.Run(ctx, "nodes", "--json", "--data-dir", ns.dirs[via])
		cancel()
		var answer struct{ Nodes []cluster.Info }
		if err == nil {
			err = json.Unmarshal([]byte(out), &answer)
		}
		if err != nil {
			ns.t.Fatalf("%v %s", err, errs)
		}
		lanes := map[string]int{}
		for _, n := range answer.Nodes {
			lanes[n.Name] = len(n.Lanes)
		}
		if ok(lanes) {
			return
		}
		if time.Now().After(deadline) {
			ns.t.Fatalf("%s: %s", what, out)
		}
	}
}

// Three nodes over three databases are one chat: what is written on one is read on
// another, in order, while a third one is killed, comes back, and leaves.
func TestSeveralNodes(t *testing.T) {
	ns := newNodes(t, testdb.MariaDB(t), testdb.MariaDB(t), testdb.PostgreSQL(t))
	a := ns.start("a")
	rooms := []chat.RoomID{"lobby", "garden", "kitchen", "attic", "cellar", "porch"}
	site := &site{t: t, rooms: rooms}
	first := user(t, a, "founder")
	for _, room := range rooms {
		join(t, first, room)
		for range 20 {
			if _, err := first.Send(testContext(t), room, chat.Draft{Text: "from the beginning"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	first.Close()
	b, c := ns.start("b"), ns.start("c")
	each := func(l map[string]int) bool { return l["a"] == 1 && l["b"] == 1 && l["c"] == 1 }
	ns.until("b", "one lane each", each)

	stop := site.open(a, b)
	c.Kill()
	ns.until("a", "the lane of c is taken over", func(l map[string]int) bool { return l["a"]+l["b"] == 3 && l["c"] == 0 })
	c = ns.start("c")
	ns.until("c", "one lane each again", each)
	if code := c.Terminate(20 * time.Second); code != 0 {
		t.Errorf("c ends with %d", code)
	}
	ns.until("a", "the lane of c is handed over", func(l map[string]int) bool { return l["a"]+l["b"] == 3 && l["c"] == 0 })
	stop()
	t.Logf("%d messages", site.sent.Load())
	site.compare(a)
	site.compare(b)

	twin := program.Start(t, t.TempDir(), testprocess.FreeAddr(t), append(ns.env, "ROOMTIDE_NODE=a")...)
	if code := twin.Wait(20 * time.Second); code == 0 || !strings.Contains(twin.Stderr(), "runs already") {
		t.Errorf("a second node of the name a ends with %d", code)
	}
	site.compare(a)
	for _, n := range []*testprocess.Node{a, b} {
		if code := n.Terminate(20 * time.Second); code != 0 {
			t.Errorf("a node ends with %d", code)
		}
	}
	out, errs, err := program.RunWith(testContext(t), ns.env, "check", "--data-dir", ns.dirs["a"])
	if err != nil {
		t.Errorf("%v: %s%s", err, out, errs)
	}
}
