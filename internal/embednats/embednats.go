// Package embednats runs a NATS server with JetStream inside this process, so that nodes
// of a cluster need no other program to speak to each other and to keep their queue. It
// is alone, or one of the servers of a cluster, which are connected to each other all by
// all ("routes").
//
// Only this process is its client, over a connection in memory. The listener that the
// server has for clients besides, which it needs to have routes, is on loopback, at a
// random port, and lets in only clients with a secret that is made at each start and is
// never written down. Other servers come in with the secret of the cluster.
//
// JetStream writes to disk before it answers (sync_interval: always), within the bounds
// of Config. One server alone and a cluster have directories of their own: neither can
// read what the other has kept.
package embednats

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	natsd "github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
)

// Config is how a Server is made. Dir and Name are required.
type Config struct {
	Dir  string // for JetStream, made if missing
	Name string // of the server: that of the node, no other server of the cluster has it

	// Listen is where connections of other servers are taken, host:port; empty: there are
	// none. Routes are the addresses of all servers of the cluster, of this one as well.
	Listen string
	Routes []string
	Secret string // by which the servers let each other in; empty: all that can reach Listen

	// Files for TLS between the servers, each of which shows its certificate: PEM, all
	// three or none. Certificate and key are read again when they were renewed, for the
	// connections that are made then; the authority when the server starts.
	TLSCA, TLSCert, TLSKey string

	MaxBytes int64 // of what JetStream keeps on disk; more is not reserved for streams

	Log        *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil registers nothing

	patience  time.Duration // of Start, for other servers; 0: 2 s
	leftAfter time.Duration // how long a server that no list names is waited for; 0: 1 minute
	catchUp   time.Duration // how long CaughtUp waits; 0: 30 s
}

const (
	defaultPatience = 2 * time.Second
	startLimit      = 10 * time.Second // for listeners to be there
	look            = 250 * time.Millisecond
)

// Server is a NATS server in this process. Safe for concurrent use.
type Server struct {
	// Set once.
	cfg      Config
	log      *slog.Logger
	natsd    *natsd.Server
	lock     *dirLock
	password string // of this process, as a client
	quit     chan struct{}
	watching sync.WaitGroup

	twin    atomic.Bool  // another server of the name was seen
	caught  atomic.Bool  // CaughtUp waits no more
	members atomic.Int64 // servers that JetStream counts, seen lately; 0: not known yet
	fatal   atomic.Value // string: why the server cannot run

	mu        sync.Mutex
	peers     map[string]peer      // guarded by mu: servers that are reached, by id
	apart     time.Time            // guarded by mu: since when none of the others is reached; zero: one is
	onReached []func()             // guarded by mu
	refused   map[string]time.Time // guarded by mu: when it was told why a certificate is refused
}

// Start starts a server, and waits a moment for the others: how many are missing then is
// logged, and they are looked for until Close. An error is a chat.Error whose text says
// what to do.
func Start(cfg Config) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.patience <= 0 {
		cfg.patience = defaultPatience
	}
	if cfg.leftAfter <= 0 {
		cfg.leftAfter = leftAfter
	}
	if cfg.catchUp <= 0 {
		cfg.catchUp = catchUp
	}
	s := &Server{cfg: cfg, log: cfg.Log, password: rand.Text(), quit: make(chan struct{}), peers: map[string]peer{}, refused: map[string]time.Time{}, apart: time.Now()}
	if err := s.takeDir(); err != nil {
		return nil, err
	}
	if err := s.run(); err != nil {
		return nil, errors.Join(err, s.lock.release())
	}
	s.caught.Store(s.Size() == 1)
	s.watching.Go(s.watch)
	s.settle()
	if cfg.Registerer != nil {
		s.register(cfg.Registerer)
	}
	s.log.Info("the NATS server of this process runs", "name", cfg.Name, "version", natsd.VERSION, "servers", s.Size(), "reached", s.Reached())
	if missing := s.Missing(); missing > 0 {
		s.log.Warn("other NATS servers are not reached yet: are they running, and can this machine reach them? they are looked for", "routes", cfg.Routes, "missing", missing, "reached", s.Reached())
	}
	return s, nil
}

// run starts the server.
func (s *Server) run() error {
	o, err := s.options()
	if err != nil {
		return err
	}
	if s.natsd, err = natsd.NewServer(o); err != nil {
		return s.failed(err.Error())
	}
	s.natsd.SetLogger(logger{s}, false, false)
	s.natsd.Start()
	why := ""
	for began := time.Now(); why == ""; {
		if s.natsd.ReadyForConnections(look) {
			return nil
		}
		if why, _ = s.fatal.Load().(string); why == "" && time.Since(began) > startLimit {
			why = "its listeners do not come"
		}
	}
	s.natsd.Shutdown()
	s.natsd.WaitForShutdown()
	return s.failed(why)
}

func (s *Server) failed(why string) error {
	text := "the NATS server of this process cannot start"
	if s.cfg.Listen != "" {
		text += ": is " + s.cfg.Listen + " (nats.cluster_listen) an address of this machine that is free, and can " + s.cfg.Dir + " be written?"
	}
	return &chat.Error{Kind: chat.Unavailable, Op: "embednats.start", Text: text, Err: errors.New(why)}
}

// takeDir makes the directory this process's own.
func (s *Server) takeDir() error {
	other := alone
	if s.Size() == 1 {
		other = together
	}
	left := filepath.Join(s.cfg.Dir, other)
	if _, err := os.Stat(left); err == nil {
		return chat.E(chat.Invalid, fmt.Sprintf("the queue in %s is that of %s: what waits in it is not taken along. Start once more with the settings of before until nothing waits (roomtide_queue_messages), stop, and delete that directory", left, whose[other]))
	}
	dir := s.dir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &chat.Error{Kind: chat.Unavailable, Op: "embednats.start", Text: "cannot make the directory of the NATS server", Err: err}
	}
	lock, err := takeLock(filepath.Join(dir, "lock"))
	if err != nil {
		return &chat.Error{Kind: chat.Conflict, Op: "embednats.start", Text: "another process uses " + dir + ": every node needs a data directory of its own", Err: err}
	}
	s.lock = lock
	return nil
}

// Directories below Config.Dir.
const (
	alone    = "alone"
	together = "cluster"
)

var whose = map[string]string{alone: "this node alone, and nats.routes is set now", together: "several servers, and nats.routes is not set any more"}

func (s *Server) dir() string {
	if s.Size() == 1 {
		return filepath.Join(s.cfg.Dir, alone)
	}
	return filepath.Join(s.cfg.Dir, together)
}

// Size is how many servers the cluster has, 1 if this one is alone.
func (s *Server) Size() int { return max(1, len(s.cfg.Routes)) }

// InProcessConn returns a new connection to the server, for nats.InProcessServer.
func (s *Server) InProcessConn() (net.Conn, error) { return s.natsd.InProcessConn() }

// User and Password are those of this process as a client.
func (s *Server) User() string { return clientName }

// Password is the one of User.
func (s *Server) Password() string { return s.password }

// Twin reports whether another server of the cluster has been seen that has the name of
// this one: the cluster then works for neither.
func (s *Server) Twin() bool { return s.twin.Load() }

// Close ends the server. It hands on what it leads first, so that the others go on at
// once. The functions of OnReached are not called any more when Close returns.
func (s *Server) Close() {
	close(s.quit)
	s.watching.Wait()
	s.natsd.Shutdown()
	s.natsd.WaitForShutdown()
	if err := s.lock.release(); err != nil {
		s.log.Warn("the directory of the NATS server stays locked", "err", err)
	}
}
