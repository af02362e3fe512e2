package testdb

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// Engine is a kind of server.
type Engine string

const (
	Maria    Engine = "mariadb"
	Postgres Engine = "postgresql"
)

// Engines are all of them.
var Engines = []Engine{Maria, Postgres}

// MariaDB returns the URL of a fresh, empty database on the shared server.
func MariaDB(t testing.TB) string { t.Helper(); return Database(t, Maria) }

// PostgreSQL returns the URL of a fresh, empty database on the shared server.
func PostgreSQL(t testing.TB) string { t.Helper(); return Database(t, Postgres) }

// Database returns the URL of a fresh, empty database on the shared server of an
// engine. The database is dropped when the test has ended.
func Database(t testing.TB, e Engine) string {
	t.Helper()
	s := shared[e].get(t)
	db, err := s.create()
	if err != nil {
		t.Fatalf("%s: a database of its own for the test: %v", e, err)
	}
	t.Cleanup(func() {
		if err := s.drop(db); err != nil {
			t.Errorf("%s: the database of the test is still there: %v", e, err)
		}
	})
	return s.url(db)
}

// AdminOf returns the URL by which the shared server of an engine is administered: as
// a user who may do everything, in a database of the server's own. Settings of the whole server
// belong to all tests of the package; a test that changes them starts its own.
func AdminOf(t testing.TB, e Engine) string { t.Helper(); return shared[e].get(t).admin() }

// Main runs the tests, ends the shared servers and returns the exit code.
func Main(m *testing.M) int {
	code := m.Run()
	for _, e := range Engines {
		if err := shared[e].stop(); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", e, err)
			code = max(code, 1)
		}
	}
	return code
}

// shared are the servers that the tests of this process share.
var shared = map[Engine]*once{Maria: {engine: Maria}, Postgres: {engine: Postgres}}

// once is a server that is started when it is asked for. What went wrong then goes
// wrong again for every other test, without another try.
type once struct {
	engine Engine

	// Guarded by mu.
	mu     sync.Mutex
	server *server
	err    error
}

func (o *once) get(t testing.TB) *server {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.server == nil && o.err == nil {
		o.server, o.err = newServer(o.engine, hasty[o.engine])
	}
	if o.err != nil {
		t.Fatalf("%s cannot run: %v", o.engine, o.err)
	}
	return o.server
}

func (o *once) stop() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.server == nil {
		return nil
	}
	return o.server.remove()
}

// hasty are settings that do not wait for the disk. What a client sees of the
// settings of durability stays as it is in MariaDB, where the driver of files can be
// told to ignore the wish; in PostgreSQL fsync is off, and nothing is done beside the
// statements of the tests.
var hasty = map[Engine][]string{
	Maria:    {"innodb_flush_method=nosync", "skip-log-bin"},
	Postgres: {"fsync=off", "wal_level=minimal", "max_wal_senders=0", "checkpoint_timeout=1h", "autovacuum=off"},
}

// Server is a server of a test's own.
type Server struct {
	t testing.TB
	s *server
}

// Start starts a server for one test, which ends it. Each setting is "name=value",
// written as in the server's own configuration, and comes after those of this package.
func Start(t testing.TB, e Engine, settings ...string) *Server {
	t.Helper()
	s, err := newServer(e, settings)
	if err != nil {
		t.Fatalf("%s cannot run: %v", e, err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s on %s wrote:\n%s", e, s.addr, s.tail())
		}
		if err := s.remove(); err != nil {
			t.Errorf("%s: %v", e, err)
		}
	})
	return &Server{t, s}
}

// Engine is what the server is.
func (s *Server) Engine() Engine { return s.s.engine }

// Addr is the address of its port, which stays the same over Restart.
func (s *Server) Addr() string { return s.s.addr }

// Admin is the URL by which the server is administered, in a database of its own.
func (s *Server) Admin() string { return s.s.admin() }

// Pid is the process of the running server.
func (s *Server) Pid() int { return s.s.pid() }

// Logged counts the lines with a text in what the server has written.
func (s *Server) Logged(text string) int {
	s.t.Helper()
	log, err := os.ReadFile(s.s.logPath())
	s.check("read its log", err)
	return bytes.Count(log, []byte(text))
}

// Database makes an empty database with a user of its own, and returns its URL.
func (s *Server) Database() string {
	s.t.Helper()
	db, err := s.s.create()
	if err != nil {
		s.t.Fatalf("%s: a database: %v", s.s.engine, err)
	}
	return s.s.url(db)
}

// Open opens one of the server's databases by its URL. It is closed with the test.
func (s *Server) Open(url string) *sql.DB {
	s.t.Helper()
	db, err := s.s.rules.open(url)
	s.check("open", err)
	s.t.Cleanup(func() { _ = db.Close() })
	return db
}

// Run runs a program as the system's user that the server runs as.
func (s *Server) Run(name string, args ...string) {
	s.t.Helper()
	s.check("run "+name, s.s.run(exec.Command(name, args...)))
}

// Stop ends the server in an orderly way: connections end, and everything is on disk.
func (s *Server) Stop() { s.t.Helper(); s.check("stop", s.s.stop()) }

// Kill ends all processes of the server with SIGKILL.
func (s *Server) Kill() { s.t.Helper(); s.check("kill", s.s.kill()) }

// Pause halts all processes of the server with SIGSTOP: it keeps its connections, the
// kernel accepts further ones, and nothing is answered.
func (s *Server) Pause() { s.t.Helper(); s.check("pause", s.s.pause()) }

// Continue undoes Pause.
func (s *Server) Continue() { s.t.Helper(); s.check("continue", s.s.resume()) }

// Restart starts the server again on the same address and data, and stops it before
// if it runs. It returns when connections are answered. Settings are added to those of
// Start, and the last one of a name counts.
func (s *Server) Restart(settings ...string) {
	s.t.Helper()
	s.check("stop", s.s.stop())
	s.s.settings = append(s.s.settings, settings...)
	s.check("start", s.s.start())
}

func (s *Server) check(what string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%s: %s: %v\n%s", s.s.engine, what, err, s.s.tail())
	}
}
