package mysql

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
)

// TestWrongSettings opens with settings that cannot work: each error is Invalid, names
// what is wrong, and does not have the password.
func TestWrongSettings(t *testing.T) {
	good := testdb.MariaDB(t)
	u, err := url.Parse(good)
	must(t, err)
	password, _ := u.User.Password()
	with := func(change func(u *url.URL)) string {
		v := *u
		change(&v)
		return v.String()
	}
	const secret = "hunter2"
	for _, c := range []struct {
		what, dsn, prefix string
		words             []string
	}{
		{"no URL", "mysql://user:" + secret + "%zz@localhost/chat", "", []string{"the DSN is no URL"}},
		{"the driver's own form", "user:" + secret + "@tcp(localhost)/chat", "", []string{"not with mysql://"}},
		{"another engine", "postgres://u:" + secret + "@localhost/chat", "", []string{"postgres", "mysql://"}},
		{"no database", "mysql://u:" + secret + "@localhost", "", []string{"no database"}},
		{"no host", "mysql:///chat", "", []string{"no host"}},
		{"a parameter", good + "?charset=latin1", "", []string{"charset", "socket"}},
		{"a certificate", good + "?tls-ca=/nowhere", "", []string{"tls-ca"}},
		{"a wrong password", with(func(v *url.URL) { v.User = url.UserPassword(u.User.Username(), secret) }), "", []string{"password"}},
		{"a database that is none", with(func(v *url.URL) { v.Path = "/nowhere" }), "", []string{"nowhere"}},
		{"a prefix", good, "Chat-", []string{"prefix", "Chat-"}},
		{"a prefix that is too long", good, strings.Repeat("x", 32), []string{"prefix"}},
		{"a prefix with SQL in it", good, "a;drop table x", []string{"prefix"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			o := sqldb.Options{Name: "shop", DSN: c.dsn, Prefix: c.prefix}
			_, err := Open(ctx, o, true)
			wantKind(t, err, chat.Invalid, append(c.words, "shop")...)
			_, e := OpenControl(ctx, o, true)
			wantKind(t, e, chat.Invalid, c.words...)
			if strings.Contains(err.Error()+e.Error(), secret) || strings.Contains(err.Error()+e.Error(), password) {
				t.Errorf("the error has the password: %v", err)
			}
		})
	}
}

// TestSocket connects by a unix socket.
func TestSocket(t *testing.T) {
	dsn := testdb.MariaDB(t)
	var socket string
	must(t, admin(t, dsn).QueryRowContext(ctx, "SELECT @@socket").Scan(&socket))
	u, err := url.Parse(dsn)
	must(t, err)
	u.Host, u.RawQuery = "", url.Values{"socket": {socket}}.Encode()
	newSender(t, open(t, sqldb.Options{Name: "shard", DSN: u.String()}))
}

// TestMissing opens what is not there.
func TestMissing(t *testing.T) {
	o := sqldb.Options{Name: "shop", DSN: testdb.MariaDB(t)}
	_, err := Open(ctx, o, false)
	wantKind(t, err, chat.NotFound, "shop", "prefix roomtide_")
	_, err = OpenControl(ctx, o, false)
	wantKind(t, err, chat.NotFound)
	must(t, open(t, o).Close())
	s, err := Open(ctx, o, false)
	must(t, err)
	must(t, s.Close())
	_, err = OpenControl(ctx, o, false) // a shard is no control database
	wantKind(t, err, chat.NotFound)
	c, err := OpenControl(ctx, o, true) // both fit
	must(t, err)
	must(t, c.Close())
}

// TestPrefixes has two shards and a control database in one database.
func TestPrefixes(t *testing.T) {
	dsn := testdb.MariaDB(t)
	a := newSender(t, open(t, sqldb.Options{Name: "a", DSN: dsn, Prefix: "a_", Node: "n1"}))
	b := newSender(t, open(t, sqldb.Options{Name: "b", DSN: dsn, Prefix: "b_", Node: "n1"}))
	for range 3 {
		must(t, a.try(ctx))
	}
	must(t, b.try(ctx))
	a.verify()
	b.verify()
}

// TestRights takes rights away: the error names the one that is missing.
func TestRights(t *testing.T) {
	root := admin(t, testdb.AdminOf(t, testdb.Maria))
	dsn := testdb.MariaDB(t)
	u, err := url.Parse(dsn)
	must(t, err)
	name := u.User.Username()
	grant := func(rights string) {
		t.Helper()
		run(t, root, fmt.Sprintf("REVOKE ALL PRIVILEGES ON %s.* FROM %s@'%%'", name, name))
		run(t, root, fmt.Sprintf("GRANT %s ON %s.* TO %s@'%%'", rights, name, name))
	}
	o := sqldb.Options{Name: "shop", DSN: dsn}
	grant("SELECT, INSERT, UPDATE, DELETE")
	_, err = Open(ctx, o, true)
	wantKind(t, err, chat.Invalid, "CREATE command denied")
	grant("SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER")
	must(t, open(t, o).Close())
	for right, left := range map[string]string{
		"INSERT": "SELECT, UPDATE, DELETE", "UPDATE": "SELECT, INSERT, DELETE", "DELETE": "SELECT, INSERT, UPDATE", "SELECT": "INSERT, UPDATE, DELETE",
	} {
		grant(left)
		_, err = Open(ctx, o, false)
		wantKind(t, err, chat.Invalid, right+" command denied")
	}
	grant("SELECT, INSERT, UPDATE, DELETE") // enough while no schema changes
	must(t, open(t, o).Close())
}

// TestTogether opens an empty database many times at once: one makes the schema.
func TestTogether(t *testing.T) {
	o := sqldb.Options{Name: "shop", DSN: testdb.MariaDB(t), Deployment: "d1"}
	errs := make(chan error, 6)
	for range cap(errs) {
		go func() {
			s, err := Open(ctx, o, true)
			if err == nil {
				err = s.Close()
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		must(t, <-errs)
	}
	var steps, known int
	must(t, admin(t, o.DSN).QueryRowContext(ctx, "SELECT count(*), max(version_id) FROM roomtide_shard_version WHERE version_id > 0").Scan(&steps, &known))
	if steps != known || known == 0 {
		t.Errorf("%d steps of a schema that has %d", steps, known)
	}
}

// TestInterruptedMigration has a first start that was ended between two tables.
func TestInterruptedMigration(t *testing.T) {
	o := sqldb.Options{Name: "shop", DSN: testdb.MariaDB(t)}
	must(t, open(t, o).Close())
	db := admin(t, o.DSN)
	run(t, db, "DELETE FROM roomtide_shard_version WHERE version_id > 0")
	run(t, db, "DROP TABLE roomtide_outbox, roomtide_cursors")
	w := newSender(t, open(t, o))
	must(t, w.try(ctx))
	w.verify()
}

// TestRefused opens databases that this node may not use.
func TestRefused(t *testing.T) {
	o := sqldb.Options{Name: "shop", DSN: testdb.MariaDB(t), Deployment: "mine", Node: "node-1"}
	s := open(t, o)

	other := o
	other.Node = "node-2"
	_, err := Open(ctx, other, false)
	wantKind(t, err, chat.Unavailable, "shop", "in use by node node-1")

	other.Deployment, other.Node = "theirs", ""
	_, err = Open(ctx, other, true)
	wantKind(t, err, chat.Invalid, "shop", "another deployment", "mine")

	other.Deployment = ""
	tool, err := Open(ctx, other, false) // a tool does not claim
	must(t, err)
	must(t, tool.Close())
	must(t, s.Close())

	next := o
	next.Node = "node-2"
	must(t, open(t, next).Close())

	run(t, admin(t, o.DSN), "INSERT INTO roomtide_shard_version (version_id, is_applied) VALUES (999, 1)")
	_, err = Open(ctx, o, false)
	wantKind(t, err, chat.Invalid, "shop", "999", "newer")
}

// TestClaimIsKept loses the connection that holds the claim: the node takes it again,
// and another gets it only when the first is gone.
func TestClaimIsKept(t *testing.T) {
	o := sqldb.Options{Name: "shop", DSN: testdb.MariaDB(t), Node: "node-1"}
	w := newSender(t, open(t, o))
	var id int64
	must(t, w.s.w.inTurn(ctx, func(conn) error { return w.s.w.one(ctx, "SELECT CONNECTION_ID()", &id) }))
	run(t, admin(t, o.DSN), fmt.Sprint("KILL ", id))
	must(t, w.try(ctx))
	other := o
	other.Node = "node-2"
	_, err := Open(ctx, other, false)
	wantKind(t, err, chat.Unavailable, "node-1")

	// Another one has it meanwhile: the first writes no more, and reads.
	w.s.w.drop()
	second := newSender(t, open(t, other))
	second.room = w.room
	must(t, second.try(ctx))
	wantKind(t, w.try(ctx), chat.Unavailable, "in use by node node-2")
	if r, err := w.s.Room(ctx, "r"); err != nil || r != second.room {
		t.Errorf("read %+v, %v", r, err)
	}
}

// TestFindings opens servers whose settings lose what was acknowledged.
func TestFindings(t *testing.T) {
	hasty := sqldb.Options{Name: "shop", DSN: testdb.MariaDB(t)}
	fs := open(t, hasty).Warnings()
	if len(fs) != 1 || fs[0].Setting != "innodb_flush_method" || !fs[0].Loses {
		t.Errorf("findings of a server that forces nothing to disk: %v", fs)
	}
	hasty.RequireDurable = true
	_, err := Open(ctx, hasty, true)
	wantKind(t, err, chat.Invalid, "innodb_flush_method", "require_durable")
	_, err = OpenControl(ctx, hasty, true)
	wantKind(t, err, chat.Invalid, "innodb_flush_method")

	server := testdb.Start(t, testdb.Maria, "log-bin", "server-id=1", "max-allowed-packet=2M")
	root := admin(t, server.Admin())
	run(t, root, "SET GLOBAL sync_binlog = 0, innodb_flush_log_at_trx_commit = 2")
	o := sqldb.Options{Name: "shop", DSN: server.Database()}
	found := map[string]bool{}
	for _, f := range open(t, o).Warnings() {
		found[f.Setting] = f.Loses
	}
	want := map[string]bool{"sync_binlog": true, "innodb_flush_log_at_trx_commit": true, "max_allowed_packet": false}
	if fmt.Sprint(found) != fmt.Sprint(want) {
		t.Errorf("found %v, want %v", found, want)
	}
	o.RequireDurable = true
	_, err = Open(ctx, o, true)
	wantKind(t, err, chat.Invalid, "sync_binlog is 0", "innodb_flush_log_at_trx_commit is 2", "set it to 1")
	run(t, root, "SET GLOBAL sync_binlog = 1, innodb_flush_log_at_trx_commit = 1")
	s := open(t, o)
	run(t, s.db.pool, "CREATE TABLE roomtide_x (x INT) ENGINE=MyISAM")
	must(t, s.Close())
	_, err = Open(ctx, o, true)
	wantKind(t, err, chat.Invalid, "roomtide_x", "MyISAM")
}

// TestJudge judges servers that are not here.
func TestJudge(t *testing.T) {
	for version, good := range map[string]bool{
		"8.0.11": true, "8.4.2": true, "9.1.0": true, "5.7.44-log": false, "10.6.1-MariaDB": true, "11.4.2-MariaDB-ubu": true,
		"5.5.5-10.11.2-MariaDB": true, "10.5.9-MariaDB": false, "5.5.5-10.3.39-MariaDB-log": false,
	} {
		vars := map[string]string{"version": version, "sql_mode": "STRICT_ALL_TABLES", "transaction_isolation": "REPEATABLE-READ",
			"character_set_connection": "utf8mb4", "max_allowed_packet": "67108864", "innodb_flush_log_at_trx_commit": "1"}
		db := &database{}
		if err := db.usable(&server{vars: vars}); (err == nil) != good {
			t.Errorf("version %s: %v", version, err)
		}
		vars["sql_mode"] = ""
		wantKind(t, db.usable(&server{vars: vars}), chat.Invalid)
		if fs := judge(&server{vars: vars, clock: -1}); len(fs) > 0 {
			t.Errorf("findings %v", fs)
		}
		if fs := judge(&server{vars: vars, clock: -5e9}); len(fs) != 1 || fs[0].Loses || fs[0].Value != "-5s ahead of this machine's" {
			t.Errorf("findings %v", fs)
		}
	}
}

// TestSmallPackets commits more than the server takes in one packet: in several, and
// all of it or nothing.
func TestSmallPackets(t *testing.T) {
	server := testdb.Start(t, testdb.Maria, "max-allowed-packet=1M")
	w := newSender(t, open(t, sqldb.Options{Name: "shard", DSN: server.Database()}))
	large := func() *store.Changes {
		ch := w.changes()
		r, rev := &ch.Rooms[0], w.room.Rev
		ch.Insert = nil
		r.LastSeq--
		r.Rev--
		for range 300 {
			r.LastSeq++
			r.Rev++
			rev++
			ch.Insert = append(ch.Insert, chat.Message{Room: "r", Seq: r.LastSeq, Rev: rev, Created: rev, User: "ann", Text: strings.Repeat("\\'", 8<<10)})
		}
		return ch
	}
	ch := large()
	packets, err := w.s.db.packets(0, w.at, ch)
	must(t, err)
	if len(packets) < 5 {
		t.Fatalf("%d packets", len(packets))
	}
	broken := *ch
	broken.Cursors = []store.Cursor{{Consumer: strings.Repeat("x", 1000), Position: 1}} // in the last packet
	err = w.s.Commit(ctx, 0, w.at, &broken)
	wantKind(t, err, chat.Internal)
	wantKind(t, w.s.Commit(ctx, 0, w.at.Next(), ch), chat.Fenced)
	must(t, w.s.Commit(ctx, 0, w.at, ch))
	w.at, w.room = w.at.Next(), ch.Rooms[0]
	must(t, w.try(ctx))
	w.verify()
	ch = w.changes()
	ch.Outbox = make([]byte, 2<<20)
	wantKind(t, w.s.Commit(ctx, 0, w.at, ch), chat.Internal, "max_allowed_packet")
	must(t, w.try(ctx))
}
