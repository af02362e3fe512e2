package embednats

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testcert"
	"github.com/roomtide/roomtide/internal/testlog"
	"github.com/roomtide/roomtide/internal/testprocess"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 40 * time.Second
	secret   = "the secret of the cluster"
)

// site is the settings of a cluster of three servers, by name.
func site(t *testing.T, log *testlog.Buffer) map[string]Config {
	t.Helper()
	all := map[string]Config{}
	var routes []string
	for _, name := range []string{"a", "b", "c"} {
		all[name] = Config{
			Dir: t.TempDir(), Name: name, Listen: testprocess.FreeAddr(t), Secret: secret, MaxBytes: 64 << 20, Log: log.Logger(slog.LevelDebug),
			patience: time.Nanosecond,
		}
		routes = append(routes, all[name].Listen)
	}
	for name, cfg := range all {
		cfg.Routes = routes
		all[name] = cfg
	}
	return all
}

func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	s, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func connect(t *testing.T, s *Server) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.UserInfo(s.User(), s.Password()))
	if err != nil {
		t.Fatal(err)
	}
	return nc
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out waiting for %s", what)
		}
	}
}

// publish appends an entry to the stream, when its servers take it.
func publish(t *testing.T, nc *nats.Conn, replicas int) (number uint64) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the stream", func() bool {
		if _, err = js.Stream(t.Context(), "s"); err != nil {
			_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "s", Subjects: []string{"s"}, Replicas: replicas, MaxBytes: 1 << 20})
		}
		return err == nil
	})
	until(t, "an entry to be appended", func() bool {
		ack, err := js.Publish(t.Context(), "s", []byte("x"))
		if err == nil {
			number = ack.Sequence
		}
		return err == nil
	})
	return number
}

// current is how many servers have all of the stream, which ends with last.
func current(t *testing.T, nc *nats.Conn, last uint64) (servers int) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "s")
	if err != nil {
		return 0
	}
	info := stream.CachedInfo()
	if info.Cluster.Leader == "" {
		return 0
	}
	if info.State.LastSeq != last {
		t.Fatalf("the stream ends with %d, not %d", info.State.LastSeq, last)
	}
	servers = 1
	for _, r := range info.Cluster.Replicas {
		if r.Current && !r.Offline {
			servers++
		}
	}
	return servers
}

// One server keeps what it has over a restart, in a directory of its own that no second
// process uses, and lets in no other client.
func TestAlone(t *testing.T) {
	log := &testlog.Buffer{}
	cfg := Config{Dir: t.TempDir(), Name: "a", MaxBytes: 64 << 20, Log: log.Logger(slog.LevelDebug)}
	s := start(t, cfg)
	nc := connect(t, s)
	first := publish(t, nc, 1)
	if _, err := Start(cfg); chat.KindOf(err) != chat.Conflict {
		t.Errorf("a second process: %v", err)
	}
	if s.natsd.Addr() != nil || s.natsd.ClusterAddr() != nil {
		t.Error("it listens")
	}
	if s.Apart() != 0 || s.Missing() != 0 || s.Size() != 1 || s.Ready() != nil {
		t.Errorf("apart %v, missing %d, size %d, %v", s.Apart(), s.Missing(), s.Size(), s.Ready())
	}
	nc.Close()
	s.Close()

	s = start(t, cfg)
	nc = connect(t, s)
	if again := publish(t, nc, 1); again != first+1 {
		t.Errorf("entry %d follows %d", again, first)
	}
	nc.Close()
	s.Close()
	if strings.Contains(log.String(), "level=WARN") || strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("%s", log)
	}

	cfg.Listen = testprocess.FreeAddr(t)
	cfg.Routes = []string{cfg.Listen, testprocess.FreeAddr(t), testprocess.FreeAddr(t)}
	if _, err := Start(cfg); chat.KindOf(err) != chat.Invalid || !strings.Contains(err.Error(), "this node alone") {
		t.Errorf("one of three, where one alone was: %v", err)
	}
}

// Three servers find each other in any order, keep what two of them have, notice the ones
// that go and come, and let in no client.
func TestCluster(t *testing.T) {
	log := &testlog.Buffer{}
	all := site(t, log)
	a, b := start(t, all["a"]), start(t, all["b"])
	var reached atomic.Int64
	a.OnReached(func() { reached.Add(1) })
	c := start(t, all["c"])
	for _, s := range []*Server{a, b, c} {
		until(t, "all servers to be reached", func() bool { return s.Missing() == 0 })
		if s.Apart() != 0 {
			t.Errorf("apart for %v", s.Apart())
		}
	}
	nc := connect(t, a)
	defer nc.Close()
	first := publish(t, nc, 3)

	until(t, "a to note that c came", func() bool { return reached.Load() > 0 })
	c.Close()
	until(t, "c to be missed", func() bool { return a.Missing() == 1 })
	if a.Ready() != nil || b.Ready() != nil {
		t.Errorf("two of three: %v, %v", a.Ready(), b.Ready())
	}
	last := publish(t, nc, 3)
	if last <= first {
		t.Errorf("entry %d follows %d", last, first)
	}
	before := reached.Load()
	if err := os.RemoveAll(all["c"].Dir); err != nil { // as if the machine was replaced
		t.Fatal(err)
	}
	c = start(t, all["c"])
	until(t, "a to note that c is back", func() bool { return reached.Load() > before })
	if c.CaughtUp() == nil {
		t.Error("it has all at once that was written without it")
	}
	until(t, "c to have caught up", func() bool { return c.CaughtUp() == nil })
	if c.Ready() != nil {
		t.Errorf("it takes no part: %v", c.Ready())
	}
	b.Close() // c has what a and b have written
	if again := publish(t, nc, 3); again <= last {
		t.Errorf("entry %d follows %d", again, last)
	} else {
		last = again
	}
	b = start(t, all["b"])
	until(t, "c to have what the others have", func() bool { return current(t, nc, last) == 3 })

	for _, url := range []string{a.natsd.ClientURL(), strings.Replace(a.natsd.ClientURL(), "nats://", "nats://node:guess@", 1)} {
		if nc, err := nats.Connect(url); err == nil {
			nc.Close()
			t.Errorf("a stranger is let in at %s", url)
		}
	}
	stranger := all["c"]
	stranger.Name, stranger.Dir, stranger.Listen, stranger.Secret = "d", t.TempDir(), testprocess.FreeAddr(t), "another secret, of another cluster"
	d := start(t, stranger)
	until(t, "d to be refused", func() bool { return strings.Contains(log.String(), "uthorization") })
	if d.Missing() != 2 || d.Apart() == 0 {
		t.Errorf("%v reached with another secret", d.Reached())
	}
	for _, s := range []*Server{d, b, c, a} {
		s.Close()
	}
	if text := log.String(); strings.Contains(text, secret) || strings.Contains(text, a.password) {
		t.Errorf("a secret is in the log:\n%s", text)
	}
}

// Without a majority a server takes no part, and does not wait for ever for what it cannot get.
func TestMinority(t *testing.T) {
	log := &testlog.Buffer{}
	cfg := site(t, log)["a"]
	cfg.catchUp = time.Second
	a := start(t, cfg)
	defer a.Close()
	if a.Ready() == nil || a.CaughtUp() == nil {
		t.Errorf("one of three: %v, %v", a.Ready(), a.CaughtUp())
	}
	until(t, "it to wait no more", func() bool { return a.CaughtUp() == nil })
	if a.Ready() == nil || !strings.Contains(log.String(), "has not caught up") {
		t.Errorf("%v; the log:\n%s", a.Ready(), log)
	}
}

// A server of a name that is in use learns of it.
func TestTwin(t *testing.T) {
	log := &testlog.Buffer{}
	all := site(t, log)
	a, b := start(t, all["a"]), start(t, all["b"])
	until(t, "b to be reached", func() bool { return a.Missing() == 1 })
	twin := all["c"]
	twin.Name = "a"
	second := start(t, twin)
	until(t, "the twin to be noticed", second.Twin)
	for _, s := range []*Server{second, b, a} {
		s.Close()
	}
	if !strings.Contains(log.String(), "HAVE THE NAME OF THIS NODE") {
		t.Error("it is not logged")
	}
}

// What is between the servers is encrypted. A certificate of another authority is no way
// in, and one that was renewed is, without a restart.
func TestTLS(t *testing.T) {
	log := &testlog.Buffer{}
	all := site(t, log)
	ours, dirs := testcert.New(t), map[string]string{}
	secure := func(name string, by *testcert.Authority) Config {
		cfg := all[name]
		dirs[name] = t.TempDir()
		files := by.Issue(dirs[name], host(t, cfg))
		cfg.TLSCA, cfg.TLSCert, cfg.TLSKey = ours.File, files.Cert, files.Key
		return cfg
	}
	stray := testcert.New(t)
	a, b, c := start(t, secure("a", ours)), start(t, secure("b", ours)), start(t, secure("c", stray))
	until(t, "a to reach b", func() bool { return a.Missing() == 1 })
	until(t, "c to be refused", func() bool { return strings.Contains(log.String(), "unknown authority") })
	if c.Missing() != 2 {
		t.Errorf("c has reached %v", c.Reached())
	}
	until(t, "c to be refused again and again", func() bool { return strings.Count(log.String(), "TLS Handshake Failure") > 12 })
	if n := strings.Count(log.String(), "level=ERROR"); n > 9 {
		t.Errorf("%d errors in the log of three servers:\n%s", n, log)
	}
	ours.Issue(dirs["c"], host(t, all["c"]))
	until(t, "c to be let in", func() bool { return c.Missing() == 0 && a.Missing() == 0 && b.Missing() == 0 })
	for _, s := range []*Server{a, b, c} {
		s.Close()
	}
	bad := secure("a", ours)
	bad.TLSKey = stray.Issue(t.TempDir(), "127.0.0.1").Key
	if _, err := Start(bad); chat.KindOf(err) != chat.Invalid || !strings.Contains(err.Error(), "belong together") {
		t.Errorf("a key of another certificate: %v", err)
	}
}

// host is the one that a server listens on.
func host(t *testing.T, cfg Config) string {
	t.Helper()
	host, _, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		t.Fatal(err)
	}
	return host
}

// What keeps the server from starting is told at once.
func TestNoStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := site(t, &testlog.Buffer{})["a"]
	cfg.Listen = taken.Addr().String()
	began := time.Now()
	if _, err := Start(cfg); chat.KindOf(err) != chat.Unavailable || !strings.Contains(err.Error(), cfg.Listen) {
		t.Errorf("an address that is taken: %v", err)
	}
	if time.Since(began) >= startLimit {
		t.Error("it is told late")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(Config{Dir: file, Name: "a"}); chat.KindOf(err) != chat.Unavailable {
		t.Errorf("a file as directory: %v", err)
	}
}
