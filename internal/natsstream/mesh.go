package natsstream

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	askEvery  = time.Second     // a process with which there are streams is asked
	silence   = 4 * time.Second // after which it is taken for gone
	backlog   = 256             // streams that wait for Accept
	maxPeers  = 1024            // processes that are remembered
	tagDigits = 16
)

// Config is how a Mesh is made.
type Config struct {
	NATS   *nats.Conn // required
	Prefix string     // of all subjects; required

	MaxStreams int   // 0: 65,536
	MaxBytes   int64 // that have arrived and were not read, of all streams; 0: 64 MiB

	Log        *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil registers nothing
}

// Mesh is the streams of this process: it dials those of others, and is a listener for
// theirs. Safe for concurrent use.
type Mesh struct {
	// Set once.
	cfg      Config
	tag      uint64
	sub      *nats.Subscription
	accepts  chan *stream
	done     chan struct{} // closed by Close
	working  sync.WaitGroup
	counters *counters

	held atomic.Int64 // bytes that have arrived and were not read
	last atomic.Uint64

	// Guarded by mu, under which nothing is sent.
	mu      sync.Mutex
	closed  bool
	peers   map[uint64]*peer
	streams map[key]*stream
}

// Open begins to listen.
func Open(cfg Config) (m *Mesh, err error) {
	if cfg.MaxStreams <= 0 {
		cfg.MaxStreams = 64 << 10
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = 64 << 20
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	m = &Mesh{
		cfg: cfg, tag: rand.Uint64(), accepts: make(chan *stream, backlog), done: make(chan struct{}),
		peers: map[uint64]*peer{}, streams: map[key]*stream{},
	}
	m.counters = newCounters(cfg.Registerer, m)
	m.sub, err = cfg.NATS.Subscribe(m.subject(m.tag)+".*", m.receive)
	if err == nil {
		err = m.sub.SetPendingLimits(-1, int(2*cfg.MaxBytes))
	}
	if err != nil {
		return nil, fmt.Errorf("natsstream: %w", err)
	}
	m.working.Go(m.watch)
	return m, nil
}

// Tag formats the tag of a process.
func Tag(tag uint64) string { return fmt.Sprintf("%0*x", tagDigits, tag) }

func parseTag(s string) (uint64, bool) {
	tag, err := strconv.ParseUint(s, 16, 64)
	return tag, err == nil && Tag(tag) == s
}

// Tag is that of this process.
func (m *Mesh) Tag() string { return Tag(m.tag) }

func (m *Mesh) subject(tag uint64) string { return m.cfg.Prefix + ".st." + Tag(tag) }

// Dial opens a stream to the process with a tag. It fails at once if there is none, or if
// the tag is not one.
func (m *Mesh) Dial(ctx context.Context, tag string) (net.Conn, error) {
	to, ok := parseTag(tag)
	if !ok || to == m.tag {
		return nil, errGone
	}
	s, err := m.add(key{peer: to, number: m.last.Add(1), dialed: true})
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { s.fail(ctx.Err()) })
	defer stop()
	err = s.peer.send(&frame{kind: kindOpen, dialed: true, stream: s.key.number}, true)
	if err == nil {
		err = s.awaitAccept()
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Accept returns the next stream that another process has dialed (net.Listener).
func (m *Mesh) Accept() (net.Conn, error) {
	select {
	case s := <-m.accepts:
		return s, nil
	case <-m.done:
		return nil, net.ErrClosed
	}
}

// Addr is the tag of this process (net.Listener).
func (m *Mesh) Addr() net.Addr { return addr(m.tag) }

// Close ends all streams. It may be called again.
func (m *Mesh) Close() error {
	m.mu.Lock()
	was := m.closed
	m.closed = true
	m.mu.Unlock()
	if was {
		return nil
	}
	close(m.done)
	m.working.Wait()
	for _, s := range m.all(nil) {
		s.Close()
	}
	return m.sub.Unsubscribe()
}

// Reconnected is called when the connection to NATS has been made again: what was on its
// way is lost.
func (m *Mesh) Reconnected() {
	m.mu.Lock()
	peers := make([]*peer, 0, len(m.peers))
	for _, p := range m.peers {
		peers = append(peers, p)
	}
	m.mu.Unlock()
	for _, p := range peers {
		m.lose(p, errLost)
	}
}

// add makes a stream.
func (m *Mesh) add(k key) (*stream, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return nil, net.ErrClosed
	case len(m.streams) >= m.cfg.MaxStreams, m.streams[k] != nil:
		m.counters.refused.Inc()
		return nil, errFull
	}
	s := newStream(m, m.peerLocked(k.peer), k)
	m.streams[k] = s
	s.peer.streams++
	if s.peer.streams == 1 {
		s.peer.heard.Store(time.Now().UnixNano())
	}
	return s, nil
}

// remove forgets a stream. It may be called again.
func (m *Mesh) remove(s *stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.streams[s.key] == s {
		delete(m.streams, s.key)
		s.peer.streams--
	}
}

// all returns the streams with a process; nil: all of them.
func (m *Mesh) all(with *peer) (all []*stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.streams {
		if with == nil || s.peer == with {
			all = append(all, s)
		}
	}
	return all
}

// Len is how many streams there are.
func (m *Mesh) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.streams)
}
