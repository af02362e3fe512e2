package postgres

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
	"github.com/roomtide/roomtide/store/storetest"
)

// endConnections ends every connection of the database but that of the test.
func endConnections(t *testing.T, dsn string) {
	t.Helper()
	execSQL(t, admin(t, dsn), "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database() AND usename = current_user")
}

// A shard has either nodes that share it, or one that does not. The error names a node
// that is in the way, whatever was noted by nodes before it.
func TestShared(t *testing.T) {
	alone := sqldb.Options{Name: "main", DSN: testdb.PostgreSQL(t), Node: "one", Deployment: "d"}
	two, three := alone, alone
	two.Node, two.Shared = "two", true
	three.Node, three.Shared = "three", true

	s := open(t, alone)
	refusedOpen(t, two, true, chat.Unavailable, "node one", "alone", "nats.url")
	must(t, s.Close())

	first, second := open(t, two), open(t, three)
	refusedOpen(t, alone, true, chat.Unavailable, "node three") // it was the last that opened it
	leased(t, first, "two")
	refusedOpen(t, alone, true, chat.Unavailable, "node two", "nats.url") // a lease says more
	renamed := three
	renamed.Name = "other"
	refusedOpen(t, renamed, true, chat.Invalid, "main")

	// A connection that replaces one that was lost holds the lock too.
	w := newWriter(t, second)
	must(t, w.post(ctx))
	must(t, first.Unlease(ctx, 0, "two"))
	endConnections(t, alone.DSN)
	if err := w.post(ctx); err != nil {
		w.settle()
	}
	must(t, w.post(ctx))
	must(t, first.Close())
	refusedOpen(t, alone, true, chat.Unavailable, "node three")
	must(t, second.Close())
	open(t, alone)
}

// leased has a node take the lease of lane 0.
func leased(t *testing.T, s *Shard, node string) {
	t.Helper()
	l, err := s.Lease(ctx, 0, node, time.Minute)
	if err != nil || l.Holder != node || l.Left <= 0 {
		t.Fatalf("the lease is %+v, %v", l, err)
	}
}

// A node that has lost its connection, and with it the claim, does not take the lock of
// nodes that share the shard meanwhile for its own.
func TestSharedMeanwhile(t *testing.T) {
	alone := sqldb.Options{Name: "main", DSN: testdb.PostgreSQL(t), Node: "one"}
	two := alone
	two.Node, two.Shared = "two", true
	s := open(t, alone)
	w := newWriter(t, s)
	must(t, w.post(ctx))
	endConnections(t, alone.DSN)
	open(t, two)
	wantKind(t, w.post(ctx), chat.Unavailable) // the connection is gone
	_, err := s.Acquire(ctx, 0)
	wantKind(t, err, chat.Unavailable)
	if !strings.Contains(err.Error(), "node two") {
		t.Errorf("the error does not name the node: %v", err)
	}
}

// Where no lock can be held, leases keep a node out that does not share the shard.
func TestSharedPooled(t *testing.T) {
	alone := sqldb.Options{Name: "main", DSN: testdb.PostgreSQL(t) + "?default_query_exec_mode=exec", Node: "one"}
	two := alone
	two.Node, two.Shared = "two", true
	s := open(t, two)
	leased(t, s, "two")
	refusedOpen(t, alone, true, chat.Unavailable, "node two", "nats.url")
}

// Nodes of a new cluster start together on an empty database.
func TestSharedTogether(t *testing.T) {
	dsn := testdb.PostgreSQL(t)
	storetest.Together{
		Control: func(ctx context.Context, node string) (store.Control, error) {
			return OpenControl(ctx, sqldb.Options{Name: "control", DSN: dsn, Node: node, Shared: true}, true)
		},
		Shard: func(ctx context.Context, node, name, deployment string) (store.Driver, error) {
			return Open(ctx, sqldb.Options{Name: name, DSN: dsn, Prefix: name + "_", Node: node, Shared: true, Deployment: deployment}, true)
		},
	}.Run(t)
}

// A commit that takes long does not keep the lease of its lane from being renewed.
func TestLeaseBesideCommit(t *testing.T) {
	o := sqldb.Options{Name: "main", DSN: testdb.PostgreSQL(t), Node: "one", Shared: true}
	s := open(t, o)
	w := newWriter(t, s)
	must(t, w.post(ctx))
	leased(t, s, "one")
	tx, err := admin(t, o.DSN).Begin()
	must(t, err)
	defer tx.Rollback() //nolint:errcheck // it is over
	_, err = tx.Exec("SELECT * FROM roomtide_lanes FOR UPDATE")
	must(t, err)
	stuck := make(chan error, 1)
	go func() { stuck <- w.post(ctx) }()
	waitForLock(t, o.DSN)
	soon, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if l, err := s.Lease(soon, 0, "one", time.Minute); err != nil || l.Holder != "one" || l.Left <= 0 {
		t.Errorf("renewed beside a commit: %+v, %v", l, err)
	}
	must(t, s.Unlease(soon, 0, "one"))
	select {
	case err := <-stuck:
		t.Errorf("the commit was not waiting: %v", err)
	default:
	}
	must(t, tx.Rollback())
	must(t, <-stuck)
}

// waitForLock waits until a connection of the database waits for a lock.
func waitForLock(t *testing.T, dsn string) {
	t.Helper()
	db := admin(t, dsn)
	for deadline := time.Now().Add(20 * time.Second); ; {
		var n int
		must(t, db.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&n))
		if n > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing waits for a lock")
		}
	}
}

// A lease is renewed while reads that hang have all connections.
func TestLeaseBesideReads(t *testing.T) {
	o := sqldb.Options{Name: "main", DSN: testdb.PostgreSQL(t), Node: "one", Shared: true, MaxConns: 3}
	s, other := open(t, o), admin(t, o.DSN)
	sleep := sqldb.Question{Text: "SELECT 1 FROM pg_sleep(30)", Row: func(r sqldb.Scanner) error { return r.Scan(new(int64)) }}
	storetest.LeaseBesideReads(t, s, o.MaxConns, func(ctx context.Context) error { return s.reads.Ask(ctx, sleep) }, func() (n int) {
		must(t, other.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'").Scan(&n))
		return n
	})
}
