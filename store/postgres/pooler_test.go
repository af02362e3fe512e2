package postgres

import (
	"slices"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/store/sqldb"
)

const execMode = "?default_query_exec_mode=exec"

// Where a pooler keeps sessions, everything is as it is without one.
func TestSuiteThroughSessionPooling(t *testing.T) { suite(t, testdb.PgBouncer(t, "session")) }

// Where it does not, nothing relies on the session.
func TestSuiteThroughTransactionPooling(t *testing.T) {
	suite(t, testdb.PgBouncer(t, "transaction")+execMode)
}

// The settings of a session and the claim of a node come through.
func TestSessionPooling(t *testing.T) {
	o := sqldb.Options{Name: "main", DSN: testdb.PgBouncer(t, "session"), Node: "one"}
	s := open(t, o)
	if slices.ContainsFunc(s.Warnings(), func(f sqldb.Finding) bool { return f.Setting == "default_query_exec_mode" }) {
		t.Errorf("what was found: %v", s.Warnings())
	}
	for _, db := range []*engine{s.reads, s.lane, s.leases} {
		var seqscan, plans string
		must(t, db.db.QueryRow("SELECT current_setting('enable_seqscan'), current_setting('plan_cache_mode')").Scan(&seqscan, &plans))
		if seqscan != "off" || plans != "force_generic_plan" {
			t.Errorf("enable_seqscan is %s, plan_cache_mode %s", seqscan, plans)
		}
	}
	other := o
	other.Node = "two"
	refusedOpen(t, other, true, chat.Unavailable, "node one")
	must(t, s.Close())
	must(t, open(t, other).Close())

	wrong := o
	wrong.DSN += "?search_path=public"
	refusedOpen(t, wrong, true, chat.Invalid, "pooler", "ignore_startup_parameters", "search_path")
}

// A pooler that gives a connection to one client after the other is noticed, and the
// error names what the DSN lacks.
func TestTransactionPooling(t *testing.T) {
	o := sqldb.Options{Name: "main", DSN: testdb.PgBouncer(t, "transaction"), Node: "one"}
	refusedOpen(t, o, true, chat.Invalid, "pool_mode = transaction", "default_query_exec_mode=exec")
	_, err := OpenControl(ctx, o, true)
	wantKind(t, err, chat.Invalid)

	o.DSN += execMode
	s := open(t, o)
	if !slices.ContainsFunc(s.Warnings(), func(f sqldb.Finding) bool { return f.Setting == "default_query_exec_mode" }) {
		t.Errorf("what was found: %v", s.Warnings())
	}
	shared := o
	shared.Node, shared.Shared = "two", true
	leased(t, open(t, shared), "two")
	refusedOpen(t, o, true, chat.Unavailable, "node two", "nats.url")
}
