package mysql

import (
	"context"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
	"github.com/roomtide/roomtide/store/storetest"
)

// leased has a node take the lease of lane 0.
func leased(t *testing.T, s *Shard, node string) {
	t.Helper()
	l, err := s.Lease(ctx, 0, node, time.Minute)
	if err != nil || l.Holder != node || l.Left <= 0 {
		t.Fatalf("the lease is %+v, %v", l, err)
	}
}

// TestShared has a shard that is used either by nodes that share it, or by one that does
// not.
func TestShared(t *testing.T) {
	alone := sqldb.Options{Name: "shop", DSN: testdb.MariaDB(t), Node: "node-1", Deployment: "d"}
	two, three := alone, alone
	two.Node, two.Shared = "node-2", true
	three.Node, three.Shared = "node-3", true

	s := open(t, alone)
	_, err := Open(ctx, two, true)
	wantKind(t, err, chat.Unavailable, "shop", "in use by node node-1", "alone", "nats.url")
	must(t, s.Close())

	first, second := open(t, two), open(t, three)
	leased(t, first, "node-2")
	_, err = Open(ctx, alone, true)
	wantKind(t, err, chat.Unavailable, "shop", "in use by node node-2", "nats.url")
	open(t, three) // the refused one has left nothing behind

	// A shard without rooms may get another name, but not while others use it.
	renamed := alone
	renamed.Name = "other"
	_, err = Open(ctx, renamed, true)
	wantKind(t, err, chat.Unavailable, "node-2")
	if name, err := sqldb.Meta(ctx, second.db, "shard"); err != nil || name != "shop" {
		t.Errorf("the shard is now called %q, %v", name, err)
	}

	must(t, first.Unlease(ctx, 0, "node-2"))
	must(t, first.Close())
	must(t, second.Close())
	open(t, alone)
}

// TestSharedMeanwhile has a node that loses its connection, and with it the claim: it
// writes no more once others share the shard.
func TestSharedMeanwhile(t *testing.T) {
	alone := sqldb.Options{Name: "shop", DSN: testdb.MariaDB(t), Node: "node-1"}
	two := alone
	two.Node, two.Shared = "node-2", true
	w := newSender(t, open(t, alone))
	must(t, w.try(ctx))
	w.s.w.drop()
	leased(t, open(t, two), "node-2")
	wantKind(t, w.try(ctx), chat.Unavailable, "in use by node node-2")
	_, err := w.s.Acquire(ctx, 0)
	wantKind(t, err, chat.Unavailable, "in use by node node-2")
}

// TestSharedAfterAlone restarts a node as one of several: the claim that it had alone may
// end a moment after its connection.
func TestSharedAfterAlone(t *testing.T) {
	alone := sqldb.Options{Name: "shop", DSN: testdb.MariaDB(t), Node: "node-1"}
	s := open(t, alone)
	shared := alone
	shared.Shared = true
	held := admin(t, alone.DSN)
	c, err := held.Conn(ctx)
	must(t, err)
	must(t, s.Close())
	_, err = c.ExecContext(ctx, "DO GET_LOCK(?, 10)", lockName(s.db, "shard"))
	must(t, err)
	opened := make(chan error, 1)
	go func() {
		s, err := Open(ctx, shared, true)
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	waitUntil(t, alone.DSN, "SELECT count(*) FROM information_schema.processlist WHERE state = 'User lock'")
	_, err = c.ExecContext(ctx, "DO RELEASE_LOCK(?)", lockName(s.db, "shard"))
	must(t, err)
	must(t, <-opened)
	must(t, c.Close())
}

// TestSharedTogether has the nodes of a new cluster start together on an empty database.
func TestSharedTogether(t *testing.T) {
	dsn := testdb.MariaDB(t)
	storetest.Together{
		Control: func(ctx context.Context, node string) (store.Control, error) {
			return OpenControl(ctx, sqldb.Options{Name: "control", DSN: dsn, Node: node, Shared: true}, true)
		},
		Shard: func(ctx context.Context, node, name, deployment string) (store.Driver, error) {
			return Open(ctx, sqldb.Options{Name: name, DSN: dsn, Prefix: name + "_", Node: node, Shared: true, Deployment: deployment}, true)
		},
	}.Run(t)
}

// TestLeaseBesideCommit renews the lease of a lane whose commit takes long.
func TestLeaseBesideCommit(t *testing.T) {
	o := sqldb.Options{Name: "shop", DSN: testdb.MariaDB(t), Node: "node-1", Shared: true}
	w := newSender(t, open(t, o))
	must(t, w.try(ctx))
	leased(t, w.s, "node-1")
	tx, err := admin(t, o.DSN).BeginTx(ctx, nil)
	must(t, err)
	defer tx.Rollback() //nolint:errcheck // it is over
	var rows int
	must(t, tx.QueryRowContext(ctx, "SELECT count(*) FROM roomtide_lanes FOR UPDATE").Scan(&rows))
	stuck := make(chan error, 1)
	go func() { stuck <- w.try(ctx) }()
	waitUntil(t, o.DSN, "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'UPDATE roomtide_lanes%'")
	soon, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if l, err := w.s.Lease(soon, 0, "node-1", time.Minute); err != nil || l.Holder != "node-1" || l.Left <= 0 {
		t.Errorf("renewed beside a commit: %+v, %v", l, err)
	}
	must(t, w.s.Unlease(soon, 0, "node-1"))
	select {
	case err := <-stuck:
		t.Errorf("the commit was not waiting: %v", err)
	default:
	}
	must(t, tx.Rollback())
	must(t, <-stuck)
}

// waitUntil asks until the answer is not 0.
func waitUntil(t *testing.T, dsn, question string) {
	t.Helper()
	db := admin(t, dsn)
	for deadline := time.Now().Add(20 * time.Second); ; {
		var n int
		must(t, db.QueryRowContext(ctx, question).Scan(&n))
		if n > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still nothing: %s", question)
		}
	}
}

// TestLeaseBesideReads renews a lease while reads that hang have all connections.
func TestLeaseBesideReads(t *testing.T) {
	o := sqldb.Options{Name: "shop", DSN: testdb.MariaDB(t), Node: "node-1", Shared: true, MaxConns: 3}
	s, other := open(t, o), admin(t, o.DSN)
	sleep := sqldb.Question{Text: "SELECT SLEEP(30)", Row: func(r sqldb.Scanner) error { return r.Scan(new(int64)) }}
	storetest.LeaseBesideReads(t, s, o.MaxConns, func(ctx context.Context) error { return s.db.Ask(ctx, sleep) }, func() (n int) {
		must(t, other.QueryRowContext(ctx, "SELECT count(*) FROM information_schema.processlist WHERE db = database() AND state = 'User sleep'").Scan(&n))
		return n
	})
}
