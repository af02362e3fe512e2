package postgres

import (
	"bytes"
	"context"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
)

// refusedOpen opens a database that cannot be opened, and compares kind and words of
// the error, which never has the password.
func refusedOpen(t *testing.T, o sqldb.Options, create bool, kind chat.Kind, words ...string) {
	t.Helper()
	s, err := Open(ctx, o, create)
	if err == nil {
		s.Close()
		t.Fatal("it was opened")
	}
	wantKind(t, err, kind)
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q: %v", w, err)
		}
	}
	if u, e := url.Parse(o.DSN); e == nil {
		if password, ok := u.User.Password(); ok && strings.Contains(err.Error(), password) {
			t.Errorf("the error has the password: %v", err)
		}
	}
}

func TestBadDSN(t *testing.T) {
	dsn := testdb.PostgreSQL(t)
	with := func(change func(*url.URL)) string {
		u, err := url.Parse(dsn)
		must(t, err)
		change(u)
		return u.String()
	}
	for name, c := range map[string]struct {
		dsn   string
		kind  chat.Kind
		words []string
	}{
		"no URL":         {"postgres://u:secret word@:x/y", chat.Invalid, []string{"no URL"}},
		"other engine":   {"mysql://u:secretword@127.0.0.1/y", chat.Invalid, []string{"mysql"}},
		"no database":    {"postgres://u:secretword@127.0.0.1", chat.Invalid, []string{"no database"}},
		"parameter":      {with(func(u *url.URL) { u.RawQuery = "sslmode=perhaps" }), chat.Invalid, []string{"sslmode"}},
		"setting":        {with(func(u *url.URL) { u.RawQuery = "no_such_thing=1" }), chat.Invalid, []string{"no_such_thing"}},
		"password":       {with(func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "wrongsecret") }), chat.Invalid, []string{"password"}},
		"user":           {with(func(u *url.URL) { u.User = url.UserPassword("nobodyhere", "wrongsecret") }), chat.Invalid, []string{"user"}},
		"absent":         {with(func(u *url.URL) { u.Path = "/absent" }), chat.Invalid, []string{"absent", "does not exist"}},
		"nobody listens": {"postgres://u:secretword@127.0.0.1:1/y", chat.Unavailable, nil},
		"socket":         {"postgres://u:secretword@/y?socket=/nowhere", chat.Unavailable, []string{"/nowhere"}},
	} {
		t.Run(name, func(t *testing.T) { refusedOpen(t, sqldb.Options{Name: "main", DSN: c.dsn}, true, c.kind, c.words...) })
	}
	refusedOpen(t, sqldb.Options{Name: "main", DSN: dsn, Prefix: "chat-"}, true, chat.Invalid, "prefix")
}

func TestMissingIsNotMade(t *testing.T) {
	o := sqldb.Options{Name: "main", DSN: testdb.PostgreSQL(t)}
	refusedOpen(t, o, false, chat.NotFound)
	_, err := OpenControl(ctx, o, false)
	wantKind(t, err, chat.NotFound)
	must(t, open(t, o).Close())
	s, err := Open(ctx, o, false)
	must(t, err)
	must(t, s.Close())
	_, err = OpenControl(ctx, o, false)
	wantKind(t, err, chat.NotFound)
}

// Several shards and the control database have room in one database.
func TestPrefixes(t *testing.T) {
	dsn := testdb.PostgreSQL(t)
	a := open(t, sqldb.Options{Name: "a", DSN: dsn, Prefix: "a_", Node: "one"})
	b := open(t, sqldb.Options{Name: "b", DSN: dsn, Prefix: "b_", Node: "two"})
	c, err := OpenControl(ctx, sqldb.Options{Name: "control", DSN: dsn, Prefix: "a_"}, true)
	must(t, err)
	defer c.Close()
	for _, s := range []*Shard{a, b} {
		w := newWriter(t, s)
		must(t, w.post(ctx))
		w.whole()
	}
	var tables int
	must(t, admin(t, dsn).QueryRow("SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'a\\_%' AND tablename NOT LIKE 'b\\_%'").Scan(&tables))
	if tables != 0 {
		t.Errorf("%d tables are without a prefix", tables)
	}
}

func TestNewerSchema(t *testing.T) {
	o := sqldb.Options{Name: "main", DSN: testdb.PostgreSQL(t)}
	must(t, open(t, o).Close())
	execSQL(t, admin(t, o.DSN), "INSERT INTO roomtide_shard_version (version_id, is_applied) VALUES (9999, true)")
	refusedOpen(t, o, true, chat.Invalid, "9999", "newer")
}

func TestOtherDeployment(t *testing.T) {
	o := sqldb.Options{Name: "main", DSN: testdb.PostgreSQL(t), Deployment: "first"}
	must(t, open(t, o).Close())
	must(t, open(t, o).Close())
	o.Deployment = "second"
	refusedOpen(t, o, true, chat.Invalid, "first", "second", "roomtide_")
}

// A shard has one node at a time; a tool, which is no node, looks at it all the same.
// A node that lost the connection claims it again with the next.
func TestClaimed(t *testing.T) {
	o := sqldb.Options{Name: "main", DSN: testdb.PostgreSQL(t), Node: "one"}
	s := open(t, o)
	other := o
	other.Node = "two"
	refusedOpen(t, other, true, chat.Unavailable, "node one", "roomtide_")
	tool := o
	tool.Node = ""
	must(t, open(t, tool).Close())

	w := newWriter(t, s)
	must(t, w.post(ctx))
	execSQL(t, admin(t, o.DSN), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database() AND usename = current_user")
	if err := w.post(ctx); err != nil {
		w.settle()
	}
	must(t, w.post(ctx))
	refusedOpen(t, other, true, chat.Unavailable, "node one")
	must(t, s.Close())
	taker := open(t, other)
	refusedOpen(t, o, true, chat.Unavailable, "node two")
	newWriter(t, taker).acquire()
}

// Nodes that start together on an empty database do not both make the tables.
func TestOpenedTogether(t *testing.T) {
	dsn := testdb.PostgreSQL(t)
	var work sync.WaitGroup
	for range 6 {
		work.Go(func() {
			s, err := Open(ctx, sqldb.Options{Name: "main", DSN: dsn, Deployment: "d", MaxConns: 1}, true)
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	var steps int
	must(t, admin(t, dsn).QueryRow("SELECT count(*) FROM roomtide_shard_version WHERE version_id = 1").Scan(&steps))
	if steps != 1 {
		t.Errorf("the first step was done %d times", steps)
	}
}

func TestRights(t *testing.T) {
	server := testdb.Start(t, testdb.Postgres, "fsync=off")
	dsn := server.Database()
	owner := admin(t, dsn)
	root := admin(t, server.Admin())
	execSQL(t, root, "CREATE ROLE app LOGIN PASSWORD 'apppassword'")
	u, err := url.Parse(dsn)
	must(t, err)
	execSQL(t, root, "GRANT CONNECT ON DATABASE "+u.Path[1:]+" TO app")
	u.User = url.UserPassword("app", "apppassword")
	app := sqldb.Options{Name: "main", DSN: u.String(), Node: "one"}
	execSQL(t, owner, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
	refusedOpen(t, app, true, chat.Invalid, "GRANT CREATE ON SCHEMA public")

	// The tables are made by their owner, and used by another.
	must(t, open(t, sqldb.Options{Name: "main", DSN: dsn}).Close())
	execSQL(t, owner, "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO app")
	execSQL(t, owner, "GRANT DELETE ON roomtide_meta TO app")
	refusedOpen(t, app, false, chat.Invalid, "DELETE ON roomtide_messages", "DELETE ON roomtide_online")
	execSQL(t, owner, "GRANT DELETE ON ALL TABLES IN SCHEMA public TO app")
	w := newWriter(t, open(t, app))
	must(t, w.post(ctx))
	w.whole()
}

// Settings with which messages can be lost after they were acknowledged are a warning,
// or an error where that was asked for.
func TestDurability(t *testing.T) {
	server := testdb.Start(t, testdb.Postgres, "fsync=off", "full_page_writes=off", "synchronous_commit=off")
	var log bytes.Buffer
	o := sqldb.Options{Name: "main", DSN: server.Database(), Log: slog.New(slog.NewTextHandler(&log, nil))}
	s := open(t, o)
	found := map[string]bool{}
	for _, f := range s.Warnings() {
		found[f.Setting] = f.Loses
	}
	for _, setting := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		if !found[setting] || !strings.Contains(log.String(), "setting="+setting) {
			t.Errorf("there is no warning of %s", setting)
		}
	}
	o.RequireDurable = true
	refusedOpen(t, o, true, chat.Invalid, "fsync", "full_page_writes", "synchronous_commit")
	_, err := OpenControl(ctx, o, true)
	wantKind(t, err, chat.Invalid)

	safe := testdb.Start(t, testdb.Postgres)
	if found := open(t, sqldb.Options{Name: "main", DSN: safe.Database(), RequireDurable: true}).Warnings(); found != nil {
		t.Errorf("a server as it is installed: %v", found)
	}
}

func TestEncoding(t *testing.T) {
	server := testdb.Start(t, testdb.Postgres, "fsync=off")
	root := admin(t, server.Admin())
	execSQL(t, root, "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0")
	u, err := url.Parse(server.Admin())
	must(t, err)
	u.Path = "/latin"
	refusedOpen(t, sqldb.Options{Name: "main", DSN: u.String()}, true, chat.Invalid, "LATIN1", "UTF8")
}

func TestPooled(t *testing.T) {
	for _, mode := range []string{"simple_protocol", "cache_describe", "describe_exec"} {
		t.Run(mode, func(t *testing.T) {
			s := open(t, sqldb.Options{Name: "main", DSN: testdb.PostgreSQL(t) + "?default_query_exec_mode=" + mode, Node: "one"})
			if !slices.ContainsFunc(s.Warnings(), func(f sqldb.Finding) bool { return f.Setting == "default_query_exec_mode" }) {
				t.Errorf("what was found: %v", s.Warnings())
			}
			w := newWriter(t, s)
			for range 3 {
				must(t, w.post(ctx))
			}
			old := w.at
			w.acquire()
			wantKind(t, s.Commit(ctx, 0, old, &store.Changes{}), chat.Fenced)
			must(t, w.post(ctx))
			w.whole()
		})
	}
}

func TestCancelledOpen(t *testing.T) {
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, err := Open(gone, sqldb.Options{Name: "main", DSN: testdb.PostgreSQL(t)}, true)
	wantKind(t, err, chat.Unavailable)
}
