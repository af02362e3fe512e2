package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/faultproxy"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
)

// sender commits one message at a time to one room, and knows what should be stored.
type sender struct {
	t    testing.TB
	s    *Shard
	at   store.Position
	room chat.Room
}

func newSender(t testing.TB, s *Shard) *sender {
	t.Helper()
	at, err := s.Acquire(ctx, 0)
	must(t, err)
	return &sender{t, s, at, chat.Room{ID: "r", Rev: 1, InfoRev: 1}}
}

func (w *sender) changes() *store.Changes {
	r := w.room
	r.LastSeq, r.Rev = r.LastSeq+1, r.Rev+1
	return &store.Changes{
		Rooms:  []chat.Room{r},
		Insert: []chat.Message{{Room: r.ID, Seq: r.LastSeq, Rev: r.Rev, Created: r.Rev, User: "ann", Text: "x", Key: fmt.Sprint(r.LastSeq)}},
		Outbox: []byte("entry"),
	}
}

func (w *sender) try(ctx context.Context) error {
	err := w.s.Commit(ctx, 0, w.at, w.changes())
	if err == nil {
		w.done()
	}
	return err
}

func (w *sender) done() {
	w.at = w.at.Next()
	w.room.LastSeq++
	w.room.Rev++
}

// settle acquires the lane, as its owner does after an error, and reports whether the
// commit had been done.
func (w *sender) settle() bool {
	w.t.Helper()
	at, err := w.s.Acquire(ctx, 0)
	must(w.t, err)
	was := at.N == w.at.N+1
	if was {
		w.done()
	} else if at.N != w.at.N {
		w.t.Fatalf("the lane stands at %d, it was at %d", at.N, w.at.N)
	}
	w.at = at
	return was
}

// verify compares what is stored.
func (w *sender) verify() {
	w.t.Helper()
	r, err := w.s.Room(ctx, "r")
	must(w.t, err)
	faults, err := w.s.Check(ctx, nil)
	must(w.t, err)
	if r != w.room || len(faults) > 0 {
		w.t.Fatalf("stored is %+v, it should be %+v; faults %q", r, w.room, faults)
	}
}

func wantKind(t testing.TB, err error, kind chat.Kind, words ...string) {
	t.Helper()
	var e *chat.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("error is %v, want %s", err, kind.Code())
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error %q does not say %q", err, word)
		}
	}
}

// within bounds a call in a test of something that does not answer.
func within(t testing.TB, d time.Duration) context.Context {
	c, cancel := context.WithTimeout(ctx, d)
	t.Cleanup(cancel)
	return c
}

// proxied is a shard behind a proxy.
func proxied(t testing.TB) (*faultproxy.Proxy, sqldb.Options) {
	t.Helper()
	u, err := url.Parse(testdb.MariaDB(t))
	must(t, err)
	p := faultproxy.Start(t, u.Host)
	u.Host = p.Addr()
	return p, sqldb.Options{Name: "shard", DSN: u.String(), Node: "n1"}
}

// committed is in the answer to the last statement of a commit: it succeeded, the
// transaction is over, and no other answer follows.
const committed = "\x00\x00\x00\x02\x00\x00\x00"

// TestLostAnswers loses a commit on its way to the server, and the server's answer to
// one: the lane's owner finds out which it was, and nothing is written twice.
func TestLostAnswers(t *testing.T) {
	p, o := proxied(t)
	w := newSender(t, open(t, o))
	must(t, w.try(ctx))
	const text = "INSERT INTO roomtide_messages"
	for range 3 {
		for _, lose := range []func(string) <-chan struct{}{p.CutBefore, p.CutWithin} {
			cut := lose(text)
			wantKind(t, w.try(ctx), chat.Unavailable)
			<-cut
			if w.settle() {
				t.Fatal("a commit that never arrived was done")
			}
			must(t, w.try(ctx))
		}
		before := w.at
		cut := p.CutAfter("COMMIT", committed)
		wantKind(t, w.try(ctx), chat.Unavailable)
		<-cut
		if !w.settle() {
			t.Fatal("a commit whose answer was lost was not done")
		}
		wantKind(t, w.s.Commit(ctx, 0, before, w.changes()), chat.Fenced)
		must(t, w.try(ctx))
	}
	w.verify()
}

// TestCutConnections cuts all connections between calls, which is not noticed, and one
// while a reader asks, which asks again.
func TestCutConnections(t *testing.T) {
	p, o := proxied(t)
	w := newSender(t, open(t, o))
	must(t, w.try(ctx))
	for range 3 {
		p.Cut()
		w.verify()
		must(t, w.try(ctx))
		cut := p.CutBefore("FROM roomtide_rooms")
		w.verify()
		<-cut
	}
	p.Refuse(true)
	p.Cut()
	_, err := w.s.Room(ctx, "r")
	wantKind(t, err, chat.Unavailable)
	wantKind(t, w.try(ctx), chat.Unavailable)
	p.Refuse(false)
	w.settle()
	must(t, w.try(ctx))
	w.verify()
}

// TestSilentServer has a server that accepts and never answers: every call ends by its
// deadline. When it is back, what was sent to it arrives late, and work goes on.
func TestSilentServer(t *testing.T) {
	p, o := proxied(t)
	w := newSender(t, open(t, o))
	must(t, w.try(ctx))
	p.Hold()
	for name, call := range map[string]func(context.Context) error{
		"Commit": func(c context.Context) error { return w.s.Commit(c, 0, w.at, w.changes()) },
		"Load": func(c context.Context) error {
			_, err := w.s.Load(c, &store.Need{Rooms: []chat.RoomID{"r"}})
			return err
		},
		"Acquire":  func(c context.Context) error { _, err := w.s.Acquire(c, 0); return err },
		"Room":     func(c context.Context) error { _, err := w.s.Room(c, "r"); return err },
		"Messages": func(c context.Context) error { _, _, err := w.s.Messages(c, "r", store.Page{Limit: 3}); return err },
		"Check":    func(c context.Context) error { _, err := w.s.Check(c, nil); return err },
	} {
		began := time.Now()
		err := call(within(t, 200*time.Millisecond))
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s took %s", name, took)
		}
		wantKind(t, err, chat.Unavailable)
	}
	began := time.Now()
	o.ConnectTimeout, o.Node = 200*time.Millisecond, ""
	_, err := Open(ctx, o, true)
	wantKind(t, err, chat.Unavailable)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("opening took %s", took)
	}
	p.Release()
	w.settle()
	for err := w.try(ctx); err != nil; err = w.try(ctx) {
		wantKind(t, err, chat.Fenced) // by what arrived late
		w.settle()
	}
	w.verify()
}

// TestServerDies kills and restarts the server: calls fail as Unavailable while it is
// away, and succeed when it is back, without opening the shard again.
func TestServerDies(t *testing.T) {
	server := testdb.Start(t, testdb.Maria)
	w := newSender(t, open(t, sqldb.Options{Name: "shard", DSN: server.Database(), Node: "n1"}))
	for range 2 {
		must(t, w.try(ctx))
		server.Kill()
		wantKind(t, w.try(ctx), chat.Unavailable)
		_, err := w.s.Room(ctx, "r")
		wantKind(t, err, chat.Unavailable)
		server.Restart()
		w.settle()
		must(t, w.try(ctx))
		w.verify()
	}
	server.Pause()
	wantKind(t, w.try(within(t, 300*time.Millisecond)), chat.Unavailable)
	server.Continue()
	w.settle()
	must(t, w.try(ctx))
	w.verify()
}

// admin is a connection of the administrator of a server.
func admin(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := connect(sqldb.Options{DSN: dsn})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db.pool
}

func run(t testing.TB, db *sql.DB, text string) {
	t.Helper()
	if _, err := db.ExecContext(ctx, text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// TestReadOnlyServer is a fail-over: the server may only be read. Nothing is written, and
// the same commit succeeds later.
func TestReadOnlyServer(t *testing.T) {
	server := testdb.Start(t, testdb.Maria)
	root := admin(t, server.Admin())
	dsn := server.Database()
	w := newSender(t, open(t, sqldb.Options{Name: "shard", DSN: dsn, Node: "n1"}))
	must(t, w.try(ctx))
	run(t, root, "SET GLOBAL read_only = 1")
	for range 2 {
		wantKind(t, w.try(ctx), chat.ReadOnly)
	}
	w.verify()
	s, err := Open(ctx, sqldb.Options{Name: "reader", DSN: dsn}, false)
	must(t, err)
	if fs := s.Warnings(); len(fs) != 1 || fs[0].Setting != "read_only" {
		t.Errorf("findings %v", fs)
	}
	must(t, s.Close())
	run(t, root, "SET GLOBAL read_only = 0")
	must(t, w.try(ctx))
	w.verify()
}

// TestTooManyConnections leaves the shard none.
func TestTooManyConnections(t *testing.T) {
	server := testdb.Start(t, testdb.Maria, "max-connections=10")
	w := newSender(t, open(t, sqldb.Options{Name: "shard", DSN: server.Database(), Node: "n1"}))
	must(t, w.try(ctx))
	other := admin(t, server.Database())
	other.SetMaxOpenConns(20)
	var held []*sql.Conn
	for len(held) < 20 {
		c, err := other.Conn(ctx)
		if err != nil {
			break
		}
		held = append(held, c)
	}
	must(t, w.try(ctx)) // has its connection
	w.s.w.drop()
	for c := within(t, 20*time.Second); ; { // in its place, as soon as the server has noticed
		conn, err := other.Conn(c)
		if err == nil {
			held = append(held, conn)
			break
		}
		if number(err) != 1040 {
			t.Fatal(err)
		}
	}
	wantKind(t, w.try(ctx), chat.Unavailable, "Too many connections")
	other.SetMaxIdleConns(0)
	for _, c := range held[1:] {
		must(t, c.Close())
	}
	for name, n := "", len(held); n > 3; { // the server notices a moment later
		must(t, held[0].QueryRowContext(within(t, 20*time.Second), "SHOW GLOBAL STATUS LIKE 'Threads_connected'").Scan(&name, &n))
	}
	must(t, held[0].Close())
	if w.settle() {
		t.Error("a commit without a connection was done")
	}
	must(t, w.try(ctx))
	w.verify()
}

// TestDeadlock has another transaction lock rows in the other order: the server ends the
// commit, which is run again.
func TestDeadlock(t *testing.T) {
	dsn := testdb.MariaDB(t)
	s := open(t, sqldb.Options{Name: "shard", DSN: dsn, Node: "n1"})
	w := newSender(t, s)
	must(t, w.try(ctx))
	root := admin(t, testdb.AdminOf(t, testdb.Maria))
	tx, err := admin(t, dsn).BeginTx(ctx, nil)
	must(t, err)
	defer tx.Rollback()
	exec := func(text string) {
		t.Helper()
		if _, err := tx.ExecContext(ctx, text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	exec("UPDATE roomtide_rooms SET title = 'locked' WHERE room_id = 'r'")
	for i := range 200 { // the server ends the transaction that has changed less
		exec(fmt.Sprintf("INSERT INTO roomtide_meta (name, value) VALUES ('row %d', '')", i))
	}
	var id int64
	must(t, s.w.inTurn(ctx, func(conn) error { return s.w.one(ctx, "SELECT CONNECTION_ID()", &id) }))
	done := make(chan error, 1)
	go func() { done <- w.try(ctx) }()
	// The server refreshes innodb_trx only if it was not read for 0.1 s: each round waits longer.
	waits := "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' AND trx_mysql_thread_id = ?"
	limit := within(t, 20*time.Second)
	for n := 0; n == 0; {
		_, err := root.ExecContext(limit, "DO SLEEP(0.2)")
		must(t, err)
		must(t, root.QueryRowContext(limit, waits, id).Scan(&n))
	}
	exec("UPDATE roomtide_lanes SET position = position WHERE lane = 0")
	must(t, tx.Rollback())
	must(t, <-done)
	w.verify()
}

// TestFull fills the server's storage: nothing is written then, and everything is read.
func TestFull(t *testing.T) {
	server := testdb.Start(t, testdb.Maria, "innodb-file-per-table=0", "innodb-data-file-path=ibdata1:12M:autoextend:max:32M")
	w := newSender(t, open(t, sqldb.Options{Name: "shard", DSN: server.Database(), Node: "n1"}))
	must(t, w.try(ctx))
	var err error
	for i := 0; err == nil && i < 100; i++ {
		ch := w.changes()
		ch.Outbox = make([]byte, 1<<20)
		if err = w.s.Commit(ctx, 0, w.at, ch); err == nil {
			w.done()
		}
	}
	wantKind(t, err, chat.ReadOnly)
	w.verify()
	wantKind(t, w.s.Commit(ctx, 0, store.Position{Epoch: w.at.Epoch, N: w.at.N + 1}, &store.Changes{}), chat.Fenced) // the lane stands where it stood
}
