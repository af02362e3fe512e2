package postgres

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/faultproxy"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
)

var ctx = context.Background()

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func wantKind(t testing.TB, err error, kind chat.Kind) {
	t.Helper()
	var e *chat.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("error is %v, want kind %s", err, kind.Code())
	}
}

// writer writes one message after the other into a room, as a lane does.
type writer struct {
	t    testing.TB
	d    store.Driver
	room chat.RoomID
	at   store.Position
	n    chat.Seq // messages that were acknowledged
}

func newWriter(t testing.TB, d store.Driver) *writer {
	t.Helper()
	w := &writer{t: t, d: d, room: "r"}
	w.acquire()
	return w
}

func (w *writer) acquire() {
	w.t.Helper()
	at, err := w.d.Acquire(ctx, 0)
	must(w.t, err)
	w.at = at
}

// next is the text of the next message.
func (w *writer) next() string { return fmt.Sprintf("message-%d.", w.n+1) }

// post commits the next message.
func (w *writer) post(ctx context.Context) error {
	n := w.n + 1
	err := w.d.Commit(ctx, 0, w.at, &store.Changes{
		Rooms:  []chat.Room{{ID: w.room, LastSeq: n, Rev: chat.Rev(n)}},
		Insert: []chat.Message{{Room: w.room, Seq: n, Rev: chat.Rev(n), Created: chat.Rev(n), User: "ann", Text: w.next(), Key: w.next()}},
		Outbox: []byte{1},
	})
	if err == nil {
		w.at = w.at.Next()
		w.n++
	}
	return err
}

// settle finds out by the position whether the commit that failed was done.
func (w *writer) settle() (done bool) {
	w.t.Helper()
	before := w.at
	w.acquire()
	switch w.at.N {
	case before.N:
		return false
	case before.N + 1:
		w.n++
		return true
	}
	w.t.Fatalf("the lane stands at %+v, and stood at %+v", w.at, before)
	return false
}

// whole compares what is stored with what was acknowledged.
func (w *writer) whole() {
	w.t.Helper()
	ms, _, err := w.d.Messages(ctx, w.room, store.Page{Limit: int(w.n) + 10})
	must(w.t, err)
	for i := range ms {
		if want := fmt.Sprintf("message-%d.", i+1); ms[i].Seq != chat.Seq(i+1) || ms[i].Text != want {
			w.t.Fatalf("message %d is %d, %q", i+1, ms[i].Seq, ms[i].Text)
		}
	}
	if len(ms) != int(w.n) {
		w.t.Fatalf("%d messages are stored, %d were acknowledged", len(ms), w.n)
	}
	faults, err := w.d.Check(ctx, nil)
	must(w.t, err)
	if faults != nil {
		w.t.Fatal(faults)
	}
}

// through is the URL with another address.
func through(t testing.TB, dsn, addr string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	must(t, err)
	u.Host = addr
	return u.String()
}

// admin opens a URL with the plain driver.
func admin(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	must(t, err)
	db.SetMaxIdleConns(-1)
	t.Cleanup(func() { db.Close() })
	return db
}

func execSQL(t testing.TB, db *sql.DB, text string) {
	t.Helper()
	_, err := db.Exec(text)
	must(t, err)
}

// readyForQuery is what the server sends when a transaction has ended.
const readyForQuery = "Z\x00\x00\x00\x05I"

// A connection that dies: nothing is written twice, and whether it was written once is
// what the position says.
func TestConnectionDiesInCommit(t *testing.T) {
	dsn := testdb.PostgreSQL(t)
	host, err := url.Parse(dsn)
	must(t, err)
	p := faultproxy.Start(t, host.Host)
	s := open(t, sqldb.Options{Name: "main", DSN: through(t, dsn, p.Addr()), Node: "one"})
	w := newWriter(t, s)
	must(t, w.post(ctx)) // from here on statements are prepared
	for name, fault := range map[string]struct {
		set  func(text string) <-chan struct{}
		done bool
	}{
		"before the server has it": {p.CutBefore, false},
		"within":                   {p.CutWithin, false},
		"the answer is lost":       {func(text string) <-chan struct{} { return p.CutAfter(text, readyForQuery) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			cut := fault.set(w.next())
			wantKind(t, w.post(ctx), chat.Unavailable)
			<-cut
			if done := w.settle(); done != fault.done {
				t.Fatalf("committed: %v, want %v", done, fault.done)
			}
			must(t, w.post(ctx))
			w.whole()
		})
	}
	w.t = t
	p.Cut() // all at once, while nothing goes on: readers do not notice
	w.whole()
	if err := w.post(ctx); err != nil {
		w.settle()
	}
	must(t, w.post(ctx))
	w.whole()
}

// The server ends in each way there is: what was acknowledged is there, and everything
// goes on by itself.
func TestServerEndsAndComesBack(t *testing.T) {
	server := testdb.Start(t, testdb.Postgres)
	s := open(t, sqldb.Options{Name: "main", DSN: server.Database(), Node: "one"})
	w := newWriter(t, s)
	must(t, w.post(ctx))
	for _, end := range []func(){server.Kill, server.Stop} {
		end()
		wantKind(t, w.post(ctx), chat.Unavailable)
		_, err := s.Room(ctx, "r")
		wantKind(t, err, chat.Unavailable)
		_, err = s.Acquire(ctx, 0)
		wantKind(t, err, chat.Unavailable)
		server.Restart()
		w.settle()
		must(t, w.post(ctx))
		w.whole()
	}

	server.Pause()
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	wantKind(t, w.post(short), chat.Unavailable)
	_, err := s.Room(short, "r")
	wantKind(t, err, chat.Unavailable)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("a server that does not answer held two calls for %v", took)
	}
	server.Continue()
	w.settle()
	must(t, w.post(ctx))
	w.whole()
}

// A server that accepts connections and never says a word is no reason to wait longer
// than the time to connect.
func TestOpenDoesNotWaitForEver(t *testing.T) {
	dsn := testdb.PostgreSQL(t)
	host, err := url.Parse(dsn)
	must(t, err)
	p := faultproxy.Start(t, host.Host)
	p.Hold()
	began := time.Now()
	_, err = Open(ctx, sqldb.Options{Name: "main", DSN: through(t, dsn, p.Addr()), ConnectTimeout: 200 * time.Millisecond}, true)
	wantKind(t, err, chat.Unavailable)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}

// A transaction that is given up for another is not written, and can be tried again.
func TestDeadlock(t *testing.T) {
	// The server looks for a deadlock once in each wait, so long after it began: the wait of
	// the commit, which is the first, is still to be looked at when the other one begins.
	dsn := testdb.Start(t, testdb.Postgres, "fsync=off", "deadlock_timeout=5s").Database()
	s := open(t, sqldb.Options{Name: "main", DSN: dsn})
	w := newWriter(t, s)
	must(t, s.Commit(ctx, 0, w.at, &store.Changes{Rooms: []chat.Room{{ID: "a"}, {ID: "b"}}}))
	w.at = w.at.Next()

	other := admin(t, dsn)
	conn, err := other.Conn(ctx)
	must(t, err)
	defer conn.Close()
	tx, err := conn.BeginTx(ctx, nil)
	must(t, err)
	defer tx.Rollback() //nolint:errcheck // the test has failed
	_, err = tx.Exec("UPDATE roomtide_rooms SET title = 'x' WHERE room_id = 'b'")
	must(t, err)
	done := make(chan error, 1)
	go func() {
		done <- s.Commit(ctx, 0, w.at, &store.Changes{Rooms: []chat.Room{{ID: "a", Title: "new"}, {ID: "b", Title: "new"}}})
	}()
	waitFor(t, other, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
	_, err = tx.Exec("UPDATE roomtide_rooms SET title = 'y' WHERE room_id = 'a'")
	must(t, err)
	err = <-done
	wantKind(t, err, chat.Unavailable)
	if sqlState(err) != "40P01" {
		t.Errorf("the error is %v", err)
	}
	must(t, tx.Rollback())
	before := w.at
	w.acquire()
	if w.at.N != before.N {
		t.Fatal("the position has moved")
	}
	must(t, s.Commit(ctx, 0, w.at, &store.Changes{Rooms: []chat.Room{{ID: "a", Title: "new"}, {ID: "b", Title: "new"}}}))
	room, err := s.Room(ctx, "b")
	must(t, err)
	if room.Title != "new" {
		t.Errorf("the title is %q", room.Title)
	}
}

// waitFor asks until the answer is not 0.
func waitFor(t testing.TB, db *sql.DB, question string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		var n int
		must(t, db.QueryRow(question).Scan(&n))
		if n > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", question)
		}
	}
}

// After a fail-over the address may lead to a server that only reads.
func TestReadOnly(t *testing.T) {
	server := testdb.Start(t, testdb.Postgres)
	dsn := server.Database()
	s := open(t, sqldb.Options{Name: "main", DSN: dsn, Node: "one"})
	w := newWriter(t, s)
	must(t, w.post(ctx))
	root := admin(t, server.Admin())
	execSQL(t, root, "ALTER SYSTEM SET default_transaction_read_only = on")
	server.Restart()
	if err := w.post(ctx); chat.KindOf(err) != chat.ReadOnly { // the first may notice that the connection has ended
		wantKind(t, err, chat.Unavailable)
		wantKind(t, w.post(ctx), chat.ReadOnly)
	}
	_, err := s.Room(ctx, "r")
	must(t, err)
	_, err = Open(ctx, sqldb.Options{Name: "main", DSN: dsn}, true)
	wantKind(t, err, chat.ReadOnly)
	if !strings.Contains(err.Error(), "default_transaction_read_only") {
		t.Errorf("the error does not name the setting: %v", err)
	}
	writable := admin(t, server.Admin()+"?default_transaction_read_only=off")
	execSQL(t, writable, "ALTER SYSTEM RESET default_transaction_read_only")
	server.Restart()
	w.settle()
	must(t, w.post(ctx))
	w.whole()
}

func TestTooManyConnections(t *testing.T) {
	server := testdb.Start(t, testdb.Postgres)
	dsn := server.Database()
	s := open(t, sqldb.Options{Name: "main", DSN: dsn, Node: "one"})
	w := newWriter(t, s)
	must(t, w.post(ctx))
	u, err := url.Parse(dsn)
	must(t, err)
	root := admin(t, server.Admin())
	execSQL(t, root, "ALTER ROLE "+u.User.Username()+" CONNECTION LIMIT 0")
	execSQL(t, root, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '"+u.User.Username()+"'")
	waitFor(t, root, "SELECT 1 - least(count(*), 1) FROM pg_stat_activity WHERE usename = '"+u.User.Username()+"'")
	wantKind(t, w.post(ctx), chat.Unavailable)
	err = w.post(ctx)
	wantKind(t, err, chat.Unavailable)
	if sqlState(err) != "53300" {
		t.Errorf("the error is %v", err)
	}
	execSQL(t, root, "ALTER ROLE "+u.User.Username()+" CONNECTION LIMIT -1")
	w.settle()
	must(t, w.post(ctx))
	w.whole()
}

// A page of a table that was written over is found, and said.
func TestCheckFindsDamage(t *testing.T) {
	server := testdb.Start(t, testdb.Postgres)
	o := sqldb.Options{Name: "main", DSN: server.Database(), Node: "one"}
	s := open(t, o)
	w := newWriter(t, s)
	must(t, w.post(ctx))
	w.whole()
	var dir, file string
	must(t, admin(t, server.Admin()).QueryRow("SHOW data_directory").Scan(&dir))
	must(t, admin(t, o.DSN).QueryRow("SELECT pg_relation_filepath('roomtide_messages')").Scan(&file))
	server.Stop()
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt(bytes.Repeat([]byte{0xA5}, 8192), 0)
	must(t, errors.Join(err, f.Close()))
	server.Restart()
	found, err := s.Check(ctx, nil)
	must(t, err)
	if len(found) != 1 || !strings.Contains(found[0], "not everything can be read") {
		t.Errorf("found %q", found)
	}
}

// A connection whose answer is not one to the question is not used again.
func TestMixedAnswersEndTheConnection(t *testing.T) {
	s := open(t, sqldb.Options{Name: "main", DSN: testdb.PostgreSQL(t), MaxConns: 1})
	pid := func() (pid int64) {
		t.Helper()
		must(t, s.reads.Ask(ctx, sqldb.Question{Text: "SELECT pg_backend_pid()::bigint", Row: func(r sqldb.Scanner) error { return r.Scan(&pid) }}))
		return pid
	}
	before := pid()
	if again := pid(); again != before {
		t.Fatal("the connection is not kept")
	}
	mixed := errors.New("not what was asked")
	if err := s.reads.Ask(ctx, sqldb.Question{Text: "SELECT 1::bigint", Row: func(sqldb.Scanner) error { return mixed }}); !errors.Is(err, mixed) {
		t.Fatal(err)
	}
	if after := pid(); after == before {
		t.Error("the connection is used again")
	}
}

// What the server says, and what kind of error it is.
func TestKinds(t *testing.T) {
	for code, kind := range map[string]chat.Kind{
		"25006": chat.ReadOnly, "53100": chat.ReadOnly,
		"40001": chat.Unavailable, "40P01": chat.Unavailable, "53300": chat.Unavailable, "57P01": chat.Unavailable,
		"57P03": chat.Unavailable, "57014": chat.Unavailable, "08006": chat.Unavailable, "28P01": chat.Unavailable, "53200": chat.Unavailable,
		"23505": chat.Conflict, "22021": chat.Invalid, "42601": chat.Internal, "22012": chat.Internal, "XX000": chat.Internal,
	} {
		wantKind(t, fail("x", "main", fmt.Errorf("inside: %w", &pgconn.PgError{Code: code})), kind)
	}
	wantKind(t, fail("x", "main", context.DeadlineExceeded), chat.Unavailable)
	wantKind(t, fail("x", "main", errors.New("something")), chat.Internal)
	wantKind(t, fail("x", "main", chat.E(chat.Fenced, "")), chat.Fenced)
}
