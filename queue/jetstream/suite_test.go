package jetstream

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/roomtide/roomtide/internal/natslink"
	"github.com/roomtide/roomtide/internal/testlog"
	"github.com/roomtide/roomtide/internal/testnats"
	"github.com/roomtide/roomtide/queue"
	"github.com/roomtide/roomtide/queue/queuetest"
)

// quick is the timing of tests: looks and rounds come soon, answers may take long.
var quick = timing{look: 50 * time.Millisecond, lag: 100 * time.Millisecond, trim: 20 * time.Millisecond, answer: 5 * time.Second, open: 60 * time.Second, few: 40 * time.Second}

const testBytes = 8 << 20

// withJetStream starts servers with JetStream.
func withJetStream(t testing.TB, count int, change func(*server.Options)) *testnats.Servers {
	return testnats.Start(t, count, func(o *server.Options) {
		o.JetStream, o.JetStreamMaxStore, o.JetStreamMaxMemory = true, 1<<30, 1<<26
		if change != nil {
			change(o)
		}
	})
}

var prefixes atomic.Int64

// node is a connection to servers, as a node has it, and the settings of a queue on it.
func node(t testing.TB, s *testnats.Servers, first int, prefix string, change func(*Config)) Config {
	t.Helper()
	link, err := natslink.Dial(natslink.Config{URLs: s.URLs(first), Node: "n", Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(link.Close)
	cfg := Config{NATS: link.NATS(), Prefix: prefix, Lanes: queuetest.Lanes, MaxBytes: testBytes, timing: quick}
	if change != nil {
		change(&cfg)
	}
	return cfg
}

func open(t testing.TB, cfg Config) *Queue {
	t.Helper()
	q, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	return q
}

func newPrefix() string { return fmt.Sprintf("rt.d%d", prefixes.Add(1)) }

// TestSuite runs on one server, and on a cluster of three, whose stream has three
// replicas.
func TestSuite(t *testing.T) {
	for _, count := range []int{1, 3} {
		t.Run(fmt.Sprint("servers=", count), func(t *testing.T) {
			s := withJetStream(t, count, nil)
			queuetest.Run(t, func(t *testing.T) *queuetest.Servers {
				prefix, opened := newPrefix(), 0
				first := open(t, node(t, s, 0, prefix, nil))
				if r := replicas(t, first); r != count {
					t.Fatalf("the stream has %d replicas on %d servers", r, count)
				}
				return &queuetest.Servers{
					MaxBytes: testBytes, MaxEntry: int(first.cfg.NATS.MaxPayload()),
					Open: func() queue.Queue {
						opened++
						return open(t, node(t, s, opened, prefix, nil))
					},
					Remake: func() {
						if err := first.js.DeleteStream(t.Context(), first.name); err != nil {
							t.Fatal(err)
						}
					},
				}
			})
		})
	}
}

func replicas(t testing.TB, q *Queue) int {
	t.Helper()
	n := 0
	queuetest.Eventually(t, "the stream has a leader", func() error {
		info, err := q.info(t.Context())
		if err == nil {
			n = info.Config.Replicas
		}
		return err
	})
	return n
}

func logTo(l *testlog.Buffer) func(*Config) {
	return func(c *Config) { c.Log = l.Logger(slog.LevelInfo) }
}
