package testdb

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// server is a server with its directory. Its calls do not overlap, except create,
// drop and tail.
type server struct {
	// Set once.
	engine   Engine
	rules    rules
	settings []string
	dir      *directory
	addr     string // host:port
	password string // of the administrator

	proc *process // the running server, nil if it was stopped

	databases atomic.Int32 // made so far

	// Guarded by mu.
	mu sync.Mutex
	db *sql.DB // the administrator's, nil before its first use
}

// rules are how the servers of an engine are handled.
type rules interface {
	// owner is the system's user that the server runs as when the test is root.
	owner() string
	// initialise fills the data directory.
	initialise(s *server) error
	// command is the running server, settings included.
	command(s *server) (*exec.Cmd, error)
	// admin is the URL of the administrator.
	admin(s *server) string
	// open opens a URL of this package with the engine's driver.
	open(url string) (*sql.DB, error)
	// create are the statements that make a database with a user of the same name.
	create(name, password string) []string
	// drop are the statements that undo create, whatever is connected.
	drop(name string) []string
	// clean gives back what a killed server has left outside of its directory.
	clean(s *server) error
	// quit and die are the signals that end a server: in order, and at once.
	signals() (quit, die os.Signal)
}

var engines = map[Engine]rules{Maria: mariaOrMySQL(), Postgres: postgres{}}

// patience is for everything that takes a second on an idle machine.
const patience = 2 * time.Minute

// newServer makes a directory with data and starts a server on it.
func newServer(e Engine, settings []string) (_ *server, err error) {
	s := &server{engine: e, rules: engines[e], settings: settings, password: random()}
	if s.dir, err = newDirectory(s.rules.owner()); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.dir.remove())
		}
	}()
	if s.addr, err = freeAddr(); err != nil {
		return nil, err
	}
	if err := s.rules.initialise(s); err != nil {
		return nil, fmt.Errorf("making a data directory: %w", err)
	}
	return s, s.start()
}

// random is a password, or another word that cannot be guessed.
func random() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// start starts the server and returns when it answers.
func (s *server) start() error {
	cmd, err := s.rules.command(s)
	if err != nil {
		return err
	}
	logFile, err := os.OpenFile(s.logPath(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer logFile.Close()
	cmd.Stdout, cmd.Stderr, cmd.Dir = logFile, logFile, s.dir.path
	_, die := s.rules.signals()
	if s.proc, err = spawn(cmd, s.dir.user, die); err != nil {
		return err
	}
	if err := s.answers(); err != nil {
		return errors.Join(err, s.kill())
	}
	return nil
}

// answers returns when the server answers the administrator.
func (s *server) answers() error {
	db, err := s.rules.open(s.admin())
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.proc.ended:
			return fmt.Errorf("the server ended by itself (%v):\n%s", s.proc.err, s.tail())
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w\n%s", err, s.tail())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (s *server) pid() int {
	if s.proc == nil {
		return 0
	}
	return s.proc.pid
}

// stop ends the server in an orderly way, if it runs.
func (s *server) stop() error {
	if s.proc == nil {
		return nil
	}
	quit, _ := s.rules.signals()
	err := s.proc.end(quit)
	s.proc = nil
	s.forget()
	return err
}

// kill ends all processes of the server at once, if it runs.
func (s *server) kill() error {
	if s.proc == nil {
		return nil
	}
	err := s.proc.kill()
	s.proc = nil
	s.forget()
	return err
}

func (s *server) pause() error {
	if s.proc == nil {
		return errors.New("the server does not run")
	}
	return s.proc.pause()
}

func (s *server) resume() error {
	if s.proc == nil {
		return errors.New("the server does not run")
	}
	return s.proc.resume()
}

// remove ends the server and removes its directory. Nothing is written back to disk
// first: there is no next start.
func (s *server) remove() error {
	var err error
	if s.proc != nil {
		_, die := s.rules.signals()
		err = s.proc.end(die)
		s.proc = nil
	}
	s.forget()
	return errors.Join(err, s.rules.clean(s), s.dir.remove())
}

// admin is the URL of the administrator.
func (s *server) admin() string { return s.rules.admin(s) }

// database is one of the server's databases, with the user it belongs to.
type database struct{ name, password string }

func (s *server) url(d database) string {
	scheme := map[Engine]string{Maria: "mysql", Postgres: "postgres"}[s.engine]
	return (&url.URL{Scheme: scheme, User: url.UserPassword(d.name, d.password), Host: s.addr, Path: "/" + d.name}).String()
}

// create makes an empty database.
func (s *server) create() (database, error) {
	d := database{fmt.Sprintf("chat%d", s.databases.Add(1)), random()}
	return d, s.exec(s.rules.create(d.name, d.password))
}

func (s *server) drop(d database) error { return s.exec(s.rules.drop(d.name)) }

// exec runs statements as the administrator.
func (s *server) exec(statements []string) error {
	db, err := s.administer()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, q := range statements {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// administer returns the administrator's connections.
func (s *server) administer() (_ *sql.DB, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		s.db, err = s.rules.open(s.admin())
	}
	return s.db, err
}

// forget closes the administrator's connections, which end with the server.
func (s *server) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil {
		_ = s.db.Close() // the other side is gone
		s.db = nil
	}
}

func (s *server) dataPath() string { return filepath.Join(s.dir.path, "data") }

func (s *server) socketPath() string { return filepath.Join(s.dir.path, "sock") }

func (s *server) logPath() string { return filepath.Join(s.dir.path, "log") }

// tail is the end of what the server wrote.
func (s *server) tail() string { return tail(s.logPath()) }

// tail is the end of a log.
func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	const most = 8000
	if len(b) > most {
		b = b[len(b)-most:]
		_, b, _ = bytes.Cut(b, []byte("\n"))
	}
	return string(b)
}

// returned are the addresses that freeAddr has returned.
var returned sync.Map

// freeAddr returns a loopback address without a listener, a different one at each
// call. Its host belongs to this process alone where all of 127/8 is loopback, so that
// no other process takes the address before the server has it, or while it is down.
func freeAddr() (string, error) {
	pid := os.Getpid()
	for {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+pid>>16&0x7f, pid>>8&0xff, pid&0xff))
		if err != nil {
			ln, err = net.Listen("tcp", "127.0.0.1:0")
		}
		if err != nil {
			return "", err
		}
		addr := ln.Addr().String()
		ln.Close()
		if _, again := returned.LoadOrStore(addr, true); !again {
			return addr, nil
		}
	}
}

// run runs a program that makes data, as the owner of the directory.
func (s *server) run(cmd *exec.Cmd) error {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Dir = &out, &out, s.dir.path
	p, err := spawn(cmd, s.dir.user, os.Kill)
	if err != nil {
		return err
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		err = errors.Join(errors.New("it takes too long"), p.kill())
	}
	if err = errors.Join(err, p.err); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, out.String())
	}
	return nil
}
