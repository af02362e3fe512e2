package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testlog"
	"github.com/roomtide/roomtide/internal/testnats"
	"github.com/roomtide/roomtide/queue/queuetest"
)

// refused opens a queue that cannot be, and looks at what it is told.
func refused(t *testing.T, cfg Config, kind chat.Kind, words ...string) error {
	t.Helper()
	q, err := Open(t.Context(), cfg)
	if err == nil {
		q.Close()
		t.Fatalf("opened, want an error of kind %s", kind.Code())
	}
	if chat.KindOf(err) != kind {
		t.Errorf("kind %s, want %s: %v", chat.KindOf(err).Code(), kind.Code(), err)
	}
	for _, w := range words {
		if !strings.Contains(chat.Public(err).Text, w) {
			t.Errorf("the text lacks %q: %v", w, err)
		}
	}
	return err
}

func hasty(c *Config) { c.timing.none, c.timing.open = 50*time.Millisecond, 5*time.Second }

func TestNoJetStream(t *testing.T) {
	plain := testnats.Start(t, 1, nil)
	err := refused(t, node(t, plain, 0, newPrefix(), hasty), chat.Invalid, "no JetStream", "queue.mode")
	if !errors.Is(err, ErrNone) {
		t.Errorf("%v is not ErrNone", err)
	}

	accounts := withJetStream(t, 1, func(o *server.Options) {
		has, none := server.NewAccount("has"), server.NewAccount("none")
		o.Accounts = []*server.Account{has, none}
		o.Users = []*server.User{{Username: "u", Password: "p", Account: none}}
		o.NoAuthUser = "u"
	})
	err = refused(t, node(t, accounts, 0, newPrefix(), hasty), chat.Invalid, "account")
	if !errors.Is(err, ErrNone) {
		t.Errorf("%v is not ErrNone", err)
	}
}

func TestNoRights(t *testing.T) {
	s := withJetStream(t, 1, func(o *server.Options) {
		o.Users = []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"$JS.API.>"}}}}}
		o.NoAuthUser = "u"
	})
	cfg := node(t, s, 0, newPrefix(), hasty)
	cfg.timing.answer = 500 * time.Millisecond
	refused(t, cfg, chat.Invalid, "lacks a right", "$JS.API.>")
}

func TestSettings(t *testing.T) {
	s := withJetStream(t, 1, nil)
	cfg := node(t, s, 0, newPrefix(), nil)
	set := func(change func(*Config)) Config {
		c := cfg
		c.Prefix = newPrefix()
		change(&c)
		return c
	}
	for _, change := range []func(*Config){
		func(c *Config) { c.NATS = nil }, func(c *Config) { c.Lanes = 0 }, func(c *Config) { c.Prefix = "rt.*" }, func(c *Config) { c.Prefix = "rt." },
		func(c *Config) { c.Replicas = 6 }, func(c *Config) { c.MaxBytes = -1 },
	} {
		refused(t, set(change), chat.Invalid)
	}
	refused(t, set(func(c *Config) { c.Replicas = 3 }), chat.Invalid, "queue.replicas", "three servers")
	refused(t, set(func(c *Config) { c.MaxBytes = 2 << 30 }), chat.Invalid, "queue.mib", "2147483648")
	refused(t, set(func(c *Config) { c.RequireDurable = true }), chat.Invalid, "require_durable", "one NATS server")

	var log testlog.Buffer
	q := open(t, set(logTo(&log)))
	if !strings.Contains(log.String(), "ON ONE NATS SERVER") || !strings.Contains(log.String(), "sync_interval") {
		t.Errorf("one replica is not warned of, or what cannot be seen is not named: %s", &log)
	}
	if _, err := q.js.CreateStream(t.Context(), js.StreamConfig{Name: "other", Subjects: []string{"rt.foreign.>"}}); err != nil {
		t.Fatal(err)
	}
	refused(t, set(func(c *Config) { c.Prefix = "rt.foreign" }), chat.Invalid, "another stream")
}

// existing are streams that a queue may find.
var existing = []struct {
	name   string
	change func(*js.StreamConfig)
	names  string // the setting in the error; empty: it is changed
}{
	{"as it was", func(*js.StreamConfig) {}, ""},
	{"fewer bytes", func(c *js.StreamConfig) { c.MaxBytes = 1 << 20 }, ""},
	{"limits", func(c *js.StreamConfig) {
		c.MaxAge, c.MaxMsgs, c.MaxMsgSize, c.MaxMsgsPerSubject = time.Hour, 10, 1000, 5
	}, ""},
	{"the oldest are dropped", func(c *js.StreamConfig) { c.Discard = js.DiscardOld }, ""},
	{"direct", func(c *js.StreamConfig) { c.AllowDirect = true }, ""},
	{"other subjects", func(c *js.StreamConfig) { c.Subjects = []string{"elsewhere." + c.Name} }, ""},
	{"more bytes", func(c *js.StreamConfig) { c.MaxBytes = testBytes + 1 }, "max_bytes"},
	{"in memory", func(c *js.StreamConfig) { c.Storage = js.MemoryStorage }, "storage"},
	{"work queue", func(c *js.StreamConfig) { c.Retention = js.WorkQueuePolicy }, "retention"},
	{"never purged", func(c *js.StreamConfig) { c.DenyPurge = true }, "deny_purge"},
}

// TestExisting opens queues on streams that are there with other settings.
func TestExisting(t *testing.T) {
	s := withJetStream(t, 1, nil)
	cfg := node(t, s, 0, newPrefix(), nil)
	for _, c := range existing {
		t.Run(c.name, func(t *testing.T) {
			cfg := cfg
			cfg.Prefix = newPrefix()
			made := &Queue{cfg: cfg, name: StreamName(cfg.Prefix)}
			stream := made.desired(1)
			c.change(&stream)
			api, err := js.New(cfg.NATS)
			if err == nil {
				_, err = api.CreateStream(t.Context(), stream)
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.names != "" {
				refused(t, cfg, chat.Invalid, c.names, stream.Name)
				return
			}
			q := open(t, cfg)
			n := queuetest.Append(t, q, 0, "one")
			queuetest.Read(t, q, 0, 0, 1)
			info, err := q.info(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got, want := info.Config, made.desired(1)
			want.Subjects = got.Subjects
			if !sameConfig(&got, &want) || n < stream.FirstSeq {
				t.Errorf("the stream is %+v", got)
			}
		})
	}
}

// TestMoreReplicas opens a queue that was on one server when there are three.
func TestMoreReplicas(t *testing.T) {
	s := withJetStream(t, 3, nil)
	cfg := node(t, s, 0, newPrefix(), nil)
	one := cfg
	one.Replicas = 1
	q := open(t, one)
	n := queuetest.Append(t, q, 0, "one")
	cfg.RequireDurable = true
	more := open(t, cfg)
	if r := replicas(t, more); r != 3 {
		t.Errorf("the stream has %d replicas", r)
	}
	if got := queuetest.Read(t, more, 0, 0, 1); got[0].Number != n {
		t.Errorf("read %v, want %d", got, n)
	}
	refused(t, one, chat.Invalid, "num_replicas", "queue.replicas")
}

// TestOpenWithoutServers has a node start while JetStream is away: it works when it comes.
func TestOpenWithoutServers(t *testing.T) {
	s := withJetStream(t, 3, nil)
	prefix := newPrefix()
	first := open(t, node(t, s, 0, prefix, nil))
	if r := replicas(t, first); r != 3 {
		t.Fatalf("%d replicas on three servers", r)
	}
	n := queuetest.Append(t, first, 0, "one")
	s.Stop(1)
	s.Stop(2)
	queuetest.Eventually(t, "JetStream does not answer", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		info, err := first.info(ctx)
		if err == nil {
			return fmt.Errorf("it answers: %+v", *info.Cluster)
		}
		return nil
	})
	q := open(t, node(t, s, 0, prefix, func(c *Config) { c.timing.answer, c.timing.open = 300*time.Millisecond, time.Second }))
	awaitErr(t, q, true)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := q.Append(ctx, 0, []byte("two")); chat.KindOf(err) != chat.Unavailable {
		t.Errorf("appended without a quorum: %v", err)
	}
	s.Restart(1)
	if got := queuetest.Read(t, q, 0, 0, 1); got[0].Number != n {
		t.Errorf("read %v", got)
	}
	s.Restart(2)
	awaitErr(t, q, false)
}

// TestStreamIsDeleted has an operator delete the stream: it is made anew, loudly.
func TestStreamIsDeleted(t *testing.T) {
	s := withJetStream(t, 1, nil)
	var log testlog.Buffer
	q := open(t, node(t, s, 0, newPrefix(), logTo(&log)))
	old := queuetest.Append(t, q, 0, "one")
	if err := q.js.DeleteStream(t.Context(), q.name); err != nil {
		t.Fatal(err)
	}
	if n := queuetest.Append(t, q, 0, "two"); n <= old {
		t.Errorf("number %d follows %d", n, old)
	}
	err := q.Read(t.Context(), 0, old, func(uint64, []byte) error { return nil })
	if chat.KindOf(err) != chat.Conflict || !strings.Contains(err.Error(), "made anew") {
		t.Errorf("Read says %v", err)
	}
	if !strings.Contains(log.String(), "STREAM OF THE QUEUE IS GONE") {
		t.Errorf("the log says nothing of it: %s", &log)
	}
}

// TestForeignStream has another stream take what is appended while that of the queue is
// gone: such an entry is not said to be there.
func TestForeignStream(t *testing.T) {
	s := withJetStream(t, 1, nil)
	q := open(t, node(t, s, 0, newPrefix(), func(c *Config) { c.timing.look = time.Hour }))
	if err := q.js.DeleteStream(t.Context(), q.name); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Append(t.Context(), 0, []byte("x")); chat.KindOf(err) != chat.Unavailable {
		t.Errorf("appended without a stream: %v", err)
	}
	if _, err := q.js.CreateStream(t.Context(), js.StreamConfig{Name: "foreign", Subjects: []string{"rt.>"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Append(t.Context(), 0, []byte("x")); chat.KindOf(err) != chat.Unavailable || !strings.Contains(err.Error(), "foreign") {
		t.Errorf("appended to another stream: %v", err)
	}
	refused(t, node(t, s, 0, newPrefix(), nil), chat.Invalid, "belong to another stream, foreign: take them out", "of its own")
}

// TestMetrics counts what was done, and what is there.
func TestMetrics(t *testing.T) {
	s := withJetStream(t, 1, nil)
	reg := prometheus.NewRegistry()
	q := open(t, node(t, s, 0, newPrefix(), func(c *Config) { c.Registerer = reg }))
	var n uint64
	for range 5 {
		n = queuetest.Append(t, q, 0, "entry")
	}
	queuetest.Read(t, q, 0, 0, 5) // the last one is refused
	if err := q.Trim(t.Context(), 0, n); err != nil {
		t.Fatal(err)
	}
	queuetest.Eventually(t, "metrics are what they should be", func() error {
		return testutil.GatherAndCompare(reg, strings.NewReader(`# HELP roomtide_queue_appended_total Entries that this node has appended to the queue of what waits for lanes.
# TYPE roomtide_queue_appended_total counter
roomtide_queue_appended_total 5
# HELP roomtide_queue_messages Entries in the queue, of all lanes; the last one that was decided stays for each lane.
# TYPE roomtide_queue_messages gauge
roomtide_queue_messages 1
# HELP roomtide_queue_read_total Entries of the queue that this node has read, as the owner of their lanes.
# TYPE roomtide_queue_read_total counter
roomtide_queue_read_total 4
# HELP roomtide_queue_replicas_current NATS servers that have all of the queue, as last seen; 0 if it does not answer.
# TYPE roomtide_queue_replicas_current gauge
roomtide_queue_replicas_current 1
# HELP roomtide_queue_trimmed_total Entries of the queue that this node has had deleted, as they are in their lanes' databases.
# TYPE roomtide_queue_trimmed_total counter
roomtide_queue_trimmed_total 4
# HELP roomtide_queue_unwell 1 while something is wrong with the queue; the log says what.
# TYPE roomtide_queue_unwell gauge
roomtide_queue_unwell 0
`), "roomtide_queue_unwell", "roomtide_queue_appended_total", "roomtide_queue_messages", "roomtide_queue_read_total", "roomtide_queue_replicas_current", "roomtide_queue_trimmed_total")
	})
	if _, err := q.Append(t.Context(), 0, make([]byte, 2<<20)); chat.KindOf(err) != chat.TooLarge || testutil.ToFloat64(q.failures.WithLabelValues("append")) != 1 {
		t.Errorf("too large: %v", err)
	}
}

// TestHealth shows the queue streams that are not well.
func TestHealth(t *testing.T) {
	s := withJetStream(t, 1, nil)
	q := open(t, node(t, s, 0, newPrefix(), func(c *Config) { c.timing.look, c.timing.lag = time.Hour, time.Minute }))
	now := time.Now()
	well := func() *js.StreamInfo {
		return &js.StreamInfo{Config: js.StreamConfig{MaxBytes: 1000}, State: js.StreamState{Bytes: 100, LastSeq: 50},
			Cluster: &js.ClusterInfo{Leader: "a", Replicas: []*js.PeerInfo{{Name: "b", Current: true}, {Name: "c", Current: true}}}}
	}
	says := func(words string) {
		t.Helper()
		if err := q.Err(); (err == nil) != (words == "") || err != nil && !strings.Contains(err.Error(), words) {
			t.Errorf("Err is %v, want %q", err, words)
		}
	}
	q.look(well(), 50)
	says("")
	full := well()
	full.State.Bytes = 900
	q.look(full, 0)
	says("nearly full: 900 of 1000")
	q.look(well(), 51)
	says("") // a new leader may not have all of it yet
	q.look(well(), 51)
	says("lost its end: it stands at 50 and was at 51")
	q.look(well(), 50)
	says("")

	lagging := well()
	lagging.Cluster.Replicas[1].Current = false
	for _, step := range []struct {
		at    time.Duration
		info  *js.StreamInfo
		words string
	}{{0, lagging, ""}, {59 * time.Second, lagging, ""}, {time.Minute, lagging, "server c"}, {61 * time.Second, well(), ""}, {62 * time.Second, lagging, ""}, {3 * time.Minute, lagging, "does not catch up"}} {
		err := q.behind(step.info, now.Add(step.at))
		if (err == nil) != (step.words == "") || err != nil && !strings.Contains(err.Error(), step.words) {
			t.Errorf("after %v: %v, want %q", step.at, err, step.words)
		}
	}
	if q.health.current.Load() != 2 {
		t.Errorf("%d replicas are current", q.health.current.Load())
	}
}

// TestClosedConnection ends Read and Append on a connection that is closed.
func TestClosedConnection(t *testing.T) {
	s := withJetStream(t, 1, nil)
	cfg := node(t, s, 0, newPrefix(), nil)
	q := open(t, cfg)
	cfg.NATS.Close()
	if _, err := q.Append(t.Context(), 0, nil); chat.KindOf(err) != chat.Unavailable || !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("appended: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- q.Read(t.Context(), 0, 0, func(uint64, []byte) error { return nil }) }()
	q.Close()
	if err := <-ended; chat.KindOf(err) != chat.Unavailable {
		t.Errorf("Read returns %v", err)
	}
}
