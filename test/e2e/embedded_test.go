package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testcert"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/wire"
)

// pair are two nodes and a witness, each with a NATS server inside, over one database.
type pair struct {
	*nodes
	listen  map[string]string // addresses of the NATS servers
	dir     string            // of the witness
	metrics string            // its address
	witness *testprocess.Process
}

func newPair(t *testing.T, dsn string) *pair {
	p := &pair{nodes: newNodes(t, dsn), listen: map[string]string{}, dir: t.TempDir(), metrics: testprocess.FreeAddr(t)}
	var routes []string
	for _, name := range []string{"a", "b", "w"} {
		p.listen[name] = testprocess.FreeAddr(t)
		routes = append(routes, p.listen[name])
	}
	p.env = []string{
		"ROOMTIDE_SHARD=" + dsn, "ROOMTIDE_METRICS_PUBLIC=true", "ROOMTIDE_QUEUE_MODE=overflow", "ROOMTIDE_QUEUE_MIB=64",
		"ROOMTIDE_NATS_EMBEDDED=true", "ROOMTIDE_NATS_ROUTES=" + strings.Join(routes, ","), "ROOMTIDE_NATS_PASSWORD=the secret of the servers",
	}
	return p
}

// begin starts a node and does not wait until it is ready.
func (p *pair) begin(name string) *testprocess.Node {
	p.t.Helper()
	if p.dirs[name] == "" {
		p.dirs[name] = p.t.TempDir()
	}
	return program.Start(p.t, p.dirs[name], testprocess.FreeAddr(p.t), p.envOf(name)...)
}

// envOf is the environment of a node.
func (p *pair) envOf(name string) []string {
	return append(p.env[:len(p.env):len(p.env)], "ROOMTIDE_NODE="+name, "ROOMTIDE_NATS_CLUSTER_LISTEN="+p.listen[name])
}

func (p *pair) startWitness() {
	p.t.Helper()
	cmd := exec.Command(program.Path, "witness", "--node", "w", "--data-dir", p.dir, "--nats-cluster-listen", p.listen["w"], "--metrics-listen", p.metrics)
	cmd.Env = append(cmd.Environ(), p.env...)
	p.witness = testprocess.Spawn(p.t, cmd)
}

// whole waits until a node has connections to all servers, and the witness takes part.
func (p *pair) whole(n *testprocess.Node) {
	p.t.Helper()
	until(p.t, "all servers work together", func() bool {
		resp, err := http.Get("http://" + p.metrics + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK && counted(p.t, n, "roomtide_embedded_nats_missing") == 0
	})
}

// examined waits until doctor, on the machine of node a, has findings like all patterns.
func (p *pair) examined(a *testprocess.Node, patterns ...string) {
	p.t.Helper()
	all, like := "", ""
	defer func() {
		if p.t.Failed() {
			p.t.Logf("no finding is like %q:\n%s", like, all)
		}
	}()
	until(p.t, "doctor sees it", func() bool {
		all = findings(p.t, p.envOf("a"), "--data-dir", p.dirs["a"], "--listen", a.Addr)
		for _, like = range patterns {
			if !regexp.MustCompile("(?m)^" + like).MatchString(all) {
				return false
			}
		}
		return true
	})
}

// says sends a message, again until the node has taken it, and returns its number.
func says(t *testing.T, c *client.Client, text string) (seq chat.Seq) {
	t.Helper()
	until(t, text, func() bool {
		m, err := c.Send(testContext(t), "lobby", chat.Draft{Text: text, Key: text})
		seq = m.Seq
		return err == nil
	})
	return seq
}

// count is how often each text is in the room.
func count(t *testing.T, c *client.Client) map[string]int {
	t.Helper()
	ms, _, err := c.History(testContext(t), "lobby", client.Page{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]int{}
	for _, m := range ms {
		texts[m.Text]++
	}
	return texts
}

// accepted joins the room and sends messages, with the database halted, until one of them
// waits in the queue, and returns that one. (A server may go on for a moment when it is
// halted.)
func accepted(t *testing.T, n *testprocess.Node, db *testdb.Server) (text string) {
	t.Helper()
	raw := dialFrames(t, n, "rita")
	raw.say(&wire.Command{Type: wire.Join, Room: "lobby"})
	raw.next("ack")
	db.Pause()
	for i := 0; ; i++ {
		text = fmt.Sprint("accepted ", i)
		raw.say(&wire.Command{Type: wire.Message, Room: "lobby", Text: text, HasText: true, Key: text})
		if strings.HasPrefix(raw.next("a"), `{"type":"accepted"`) { // or an ack
			return text
		}
	}
}

// Two nodes and a witness need no other program but their database. Each of the three may
// be killed; and what was accepted while one node was dead outlives the other one too,
// with the copy of the witness.
func TestTwoNodesAndAWitness(t *testing.T) {
	db := testdb.Start(t, testdb.Maria)
	p := newPair(t, db.Database())
	p.startWitness()
	a, b := p.begin("a"), p.begin("b")
	a.Ready()
	b.Ready()
	p.whole(b)
	anna, bob := user(t, a, "anna"), user(t, b, "bob")
	join(t, anna, "lobby")
	join(t, bob, "lobby")
	if first, second := says(t, anna, "from a"), says(t, bob, "from b"); second != first+1 {
		t.Errorf("message %d follows %d", second, first)
	}

	p.examined(a, `ok cluster/route \S+: NATS server a, version 2`, `ok cluster/route \S+: NATS server w, version 2`, `ok cluster/nats: inside the node, version 2\S+, with connections to all others: b, w`,
		`ok cluster/queue: on 3 NATS servers, all of them current`, `ok cluster/sync_interval: always`, `ok cluster/node b: runs`)
	p.witness.Kill()
	says(t, bob, "without the witness")
	until(t, "b misses the witness", func() bool { return counted(t, b, "roomtide_embedded_nats_missing") == 1 })
	p.examined(a, `warn cluster/route `+p.listen["w"]+`: .*refused -> start the node, or the witness`, `warn cluster/nats: .* connections to 1 of 2 other servers: b -> start`,
		`fail cluster/queue: 2 of 3 NATS servers have all of it; the others: w \((away|\d+ operations behind)\)`)
	p.startWitness()
	p.whole(b)

	anna.Close()
	a.Kill()
	p.examined(a, `warn node/running: no node answers`, `ok cluster/route \S+: NATS server b`, `warn cluster/nats: the queue, its copies and the other nodes cannot be seen: .*lets no other program in.* -> start the node`)
	says(t, bob, "without a")
	until(t, "doctor of b says that a was killed", func() bool { // it asks over what b has not missed yet
		all := findings(t, p.envOf("b"), "--data-dir", p.dirs["b"], "--listen", b.Addr)
		return strings.Contains(all, "warn cluster/node a: it was heard lately, and is not reached any more -> start it")
	})
	bob.Close()
	waits := accepted(t, b, db)
	b.Kill()
	db.Continue()
	a = p.begin("a")
	a.Ready()
	carl := user(t, a, "carl")
	join(t, carl, "lobby")
	until(t, "what was accepted is there", func() bool { return count(t, carl)[waits] > 0 })
	says(t, carl, "without b")
	for _, text := range []string{"from a", "from b", "without the witness", "without a", waits, "without b"} {
		if n := count(t, carl)[text]; n != 1 {
			t.Errorf("%q is there %d times", text, n)
		}
	}
	carl.Close()
	p.dirs["a"], p.listen["a"] = t.TempDir(), p.listen["b"]
	twin := p.begin("a")
	if code := twin.Wait(30 * time.Second); code == 0 || !strings.Contains(twin.Stderr(), "runs already") {
		t.Errorf("a second node of the name a ends with %d", code)
	}
	if code := a.Terminate(20 * time.Second); code != 0 {
		t.Errorf("a ends with %d", code)
	}
	p.witness.Terminate()
}

// The routes of three nodes are TLS. One of them that has another authority reaches no
// other, and doctor says why on either side; with the right one it is let in.
func TestRoutesOverTLS(t *testing.T) {
	p := newPair(t, testdb.Start(t, testdb.Maria).Database())
	plain, files := p.env, map[string]testcert.Files{}
	ours, theirs := testcert.New(t), testcert.New(t)
	as := func(name string, ca *testcert.Authority) {
		host, _, err := net.SplitHostPort(p.listen[name])
		if err != nil {
			t.Fatal(err)
		}
		if files[name].Cert == "" {
			files[name] = testcert.Files{Cert: filepath.Join(t.TempDir(), "cert.pem")}
		}
		files[name] = ca.Issue(filepath.Dir(files[name].Cert), host)
	}
	secure := func(name string) {
		f := files[name]
		p.env = append(plain[:len(plain):len(plain)], "ROOMTIDE_NATS_TLS_CA="+f.CA, "ROOMTIDE_NATS_TLS_CERT="+f.Cert, "ROOMTIDE_NATS_TLS_KEY="+f.Key)
	}
	begin := func(name string) *testprocess.Node {
		secure(name)
		return p.begin(name)
	}
	as("a", ours)
	as("b", ours)
	as("w", theirs)
	a, b := begin("a"), begin("b")
	a.Ready() // they wait for what the third one may have, and then no more
	b.Ready()
	until(t, "a reaches b", func() bool { return counted(t, a, "roomtide_embedded_nats_missing") == 1 })
	w := begin("w") // it is not ready: others own all lanes, and it reaches none of them
	const unknown = `its certificate is refused here: x509: certificate signed by unknown authority .*-> give all servers certificates of one authority`
	secure("a")
	p.examined(a, `warn cluster/route certificate: it ends on .* -> renew it`, `ok cluster/route `+p.listen["b"]+`: NATS server b`, `fail cluster/route `+p.listen["w"]+`: `+unknown, `fail cluster/nats: .*1 of 2 other servers: b; JetStream is not ready.* -> .*certificates of one authority`)
	secure("w")
	until(t, "doctor of w sees it", func() bool {
		all := findings(t, p.envOf("w"), "--data-dir", p.dirs["w"], "--listen", w.Addr)
		return regexp.MustCompile(`(?m)^fail cluster/route `+p.listen["a"]+`: `+unknown).MatchString(all) && strings.Contains(all, "connections to 0 of 2 other servers: none")
	})
	if code := w.Terminate(20 * time.Second); code != 0 {
		t.Errorf("w ends with %d", code)
	}
	as("w", ours)
	w = begin("w")
	w.Ready()
	for _, n := range []*testprocess.Node{a, b, w} {
		until(t, "all reach all", func() bool { return counted(t, n, "roomtide_embedded_nats_missing") == 0 })
	}
	secure("a")
	p.examined(a, `ok cluster/nats: inside the node, version 2\S+, with connections to all others: b, w`)
}

// A node alone with a queue inside keeps what its database cannot take now over its own
// death.
func TestQueueOfOneNode(t *testing.T) {
	db := testdb.Start(t, testdb.Maria)
	ns := newNodes(t, db.Database())
	ns.env = []string{"ROOMTIDE_SHARD=" + db.Database(), "ROOMTIDE_METRICS_PUBLIC=true", "ROOMTIDE_QUEUE_MODE=overflow", "ROOMTIDE_NATS_EMBEDDED=true"}
	n := ns.start("a")
	if all := findings(t, append(ns.env, "ROOMTIDE_NODE=a"), "--data-dir", ns.dirs["a"], "--listen", n.Addr); !strings.Contains(all, "ok cluster/nats: inside the node") || !strings.Contains(all, "ok cluster/queue: on the disk of this machine") {
		t.Errorf("doctor says:\n%s", all)
	}
	waits := accepted(t, n, db)
	n.Kill()
	db.Continue()
	n = ns.start("a")
	anna := user(t, n, "anna")
	join(t, anna, "lobby")
	until(t, "what was accepted is there", func() bool { return count(t, anna)[waits] > 0 })
	says(t, anna, "after")
	if texts := count(t, anna); texts[waits] != 1 || texts["after"] != 1 {
		t.Errorf("%v", texts)
	}
	anna.Close()
	if code := n.Terminate(20 * time.Second); code != 0 {
		t.Errorf("it ends with %d", code)
	}
}
