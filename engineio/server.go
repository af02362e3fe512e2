package engineio

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/internal/guard"
	"github.com/roomtide/roomtide/internal/poll"
	"github.com/roomtide/roomtide/internal/wheel"
	"github.com/roomtide/roomtide/websocket"
)

// Server turns requests into sockets. It is an http.Handler.
type Server struct {
	// Set once.
	handler Handler
	opts    Options
	start   time.Time
	wheel   *wheel.Wheel[*Socket]
	readers *poll.Readers // of WebSockets
	done    chan struct{} // closed by Close
	large   chan struct{} // holds one token for each body above MaxPayload

	counts struct {
		opened, upgraded, refused, full, expired atomic.Uint64

		panics guard.Panics
	}

	// Sockets until their handler's Close has returned, their WebSockets until they
	// are closed, and their goroutines. Grows from zero only under mu while closed is
	// false.
	work sync.WaitGroup

	// Guarded by mu.
	mu      sync.Mutex
	closed  bool
	sockets map[string]*Socket
}

// Stats are a server's counters. Those of type uint64 only grow.
type Stats struct {
	Sockets  int    // now
	Closing  int    // WebSockets whose peer has ended, and that wait to be drained
	Opened   uint64 // sockets
	Upgraded uint64 // sockets that went from polling to WebSocket
	Refused  uint64 // requests
	Full     uint64 // times Send failed with ErrFull or TryWrite took less because MaxQueued was reached
	Expired  uint64 // sockets that ended with a ping timeout
	Panics   uint64 // in handlers
	Deferred uint64 // WebSockets that had to wait to be drained, because many ended at once
}

// New makes a server. Close ends it.
func New(h Handler, o Options) *Server {
	o.setDefaults()
	s := &Server{
		handler: h, opts: o, start: time.Now(),
		done: make(chan struct{}), large: make(chan struct{}, maxLarge), sockets: make(map[string]*Socket),
	}
	s.wheel, s.readers = newWheel(&s.opts), poll.NewReaders(s.opts.Log)
	s.work.Go(func() { s.wheel.Run(s.done, func() { s.wheel.Advance(s.now()) }) })
	return s
}

// now is the time since the server was made. It does not jump.
func (s *Server) now() time.Duration { return time.Since(s.start) }

// Stats returns the counters as they are now.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	n := len(s.sockets)
	s.mu.Unlock()
	closing, deferred := s.readers.Closing()
	c := &s.counts
	return Stats{
		Sockets: n, Closing: closing, Opened: c.opened.Load(), Upgraded: c.upgraded.Load(), Refused: c.refused.Load(),
		Full: c.full.Load(), Expired: c.expired.Load(), Panics: c.panics.Load(), Deferred: deferred,
	}
}

// Close ends all sockets and refuses new ones. It returns when the handler's Close
// has returned for all of them and all goroutines have ended, or when ctx is done.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
	all := make([]*Socket, 0, len(s.sockets))
	for _, sock := range s.sockets {
		all = append(all, sock)
	}
	s.mu.Unlock()
	for _, sock := range all {
		sock.end(ending{reason: ReasonShuttingDown, code: codeGoingAway, last: kindClose})
	}
	gone := make(chan struct{})
	go func() {
		s.work.Wait()
		s.readers.Close()
		close(gone)
	}()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ServeHTTP answers a request of a client. It returns when it is answered; a
// WebSocket lives on.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if allowed := s.cors(w, r); allowed && r.Method == http.MethodOptions {
		s.preflight(w, r)
		return
	}
	q, refused := parseQuery(r.URL.RawQuery)
	if refused == nil {
		refused = s.serve(w, r, q)
	}
	if refused != nil {
		s.counts.refused.Add(1)
		if s.opts.Refused != nil {
			s.opts.Refused(r, refused.Code, refused.text())
		}
		s.drain(w, r)
		refused.write(w)
	}
}

// ancient are the paths of clients of Socket.IO before 1.0, behind that of the server.
var ancient = regexp.MustCompile(`/1/?$|/1/[a-z-]+/[^/]*$`)

func (s *Server) serve(w http.ResponseWriter, r *http.Request, q query) *refusal {
	switch {
	case q.transport == "" && ancient.MatchString(r.URL.Path):
		return unsupportedVersion
	case !slices.Contains(s.opts.Transports, q.transport):
		return unknownTransport
	case q.jsonp != "" && !(s.opts.JSONP && s.mayScript(r)):
		return foreignPage
	}
	if refused := s.checkOrigin(r); refused != nil {
		return refused
	}
	if q.sid == "" {
		return s.handshake(w, r, q)
	}
	s.mu.Lock()
	sock := s.sockets[q.sid]
	s.mu.Unlock()
	if sock == nil {
		if s.opts.Elsewhere != nil && s.opts.Elsewhere(w, r, q.sid) {
			return nil
		}
		return unknownSession
	}
	if s.opts.Headers != nil {
		s.opts.Headers(w.Header(), r, false)
	}
	return sock.serve(w, r, q)
}

// handshake begins a session.
func (s *Server) handshake(w http.ResponseWriter, r *http.Request, q query) *refusal {
	switch {
	case r.Method != http.MethodGet:
		return badHandshakeMethod
	case (q.transport == webSocket) != websocket.IsUpgrade(r):
		return badRequest
	case q.version == 0, q.version == 3 && s.opts.NoEIO3:
		return unsupportedVersion
	}
	if s.opts.Check != nil {
		if err := s.opts.Check(r); err != nil {
			return refusalOf(err)
		}
	}
	sock := newSocket(s, r, q)
	if refused := s.enter(sock); refused != nil {
		return refused
	}
	s.greetHeaders(w.Header(), r, sock.id)
	if q.transport == webSocket {
		sock.openWebSocket(w, r)
	} else {
		sock.openPolling(w, q)
	}
	return nil
}

// greetHeaders are what the program adds to the answer to a handshake.
func (s *Server) greetHeaders(h http.Header, r *http.Request, id string) {
	if s.opts.Cookie != nil {
		c := *s.opts.Cookie
		c.Value = id
		if v := c.String(); v != "" {
			h.Add("Set-Cookie", v)
		}
	}
	if s.opts.Headers != nil {
		s.opts.Headers(h, r, true)
	}
}

// newSocket makes the socket of a handshake. Its turn is taken until the handler's
// Open has returned.
func newSocket(s *Server, r *http.Request, q query) *Socket {
	sock := &Socket{
		srv: s, id: s.newID(r), version: q.version, asText: q.base64 || q.jsonp != "",
	}
	sock.shake.Store(keep(r))
	sock.beginHeartbeat(s.now())
	sock.turn.Lock()
	return sock
}

// keep copies what is worth keeping of a request for the life of a socket.
func keep(r *http.Request) *handshake {
	u := *r.URL
	return &handshake{time.Now(), http.Request{
		Method: r.Method, URL: &u, Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
		Header: r.Header, Host: r.Host, RemoteAddr: r.RemoteAddr, RequestURI: r.RequestURI,
		Body: http.NoBody, TLS: r.TLS,
	}}
}

// handshake is what is kept of the request that began a session.
type handshake struct {
	at      time.Time
	request http.Request
}

// newID returns a session id: 144 random bits, unless the program makes it.
func (s *Server) newID(r *http.Request) string {
	if s.opts.GenerateID != nil {
		return s.opts.GenerateID(r)
	}
	var b [18]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// enter makes the socket known to requests and to the wheel.
func (s *Server) enter(sock *Socket) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return serverClosed
	case s.opts.MaxSockets > 0 && len(s.sockets) >= s.opts.MaxSockets:
		return serverFull
	case sock.id == "" || s.sockets[sock.id] != nil:
		return idTaken
	}
	s.sockets[sock.id] = sock
	s.work.Add(1)
	s.wheel.Put(sock, sock.due)
	return nil
}

// leave forgets the socket.
func (s *Server) leave(sock *Socket) {
	s.mu.Lock()
	delete(s.sockets, sock.id)
	s.mu.Unlock()
	s.wheel.Remove(sock)
}

// spawn starts a goroutine that Close waits for, unless the server is closed.
func (s *Server) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Go(f)
	return true
}

// greeting is the data of the open packet.
type greeting struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int64    `json:"pingInterval"`
	PingTimeout  int64    `json:"pingTimeout"`
	MaxPayload   int      `json:"maxPayload"`
}

func (s *Server) greet(sock *Socket, transport string) string {
	g := greeting{sock.id, []string{}, s.opts.PingInterval.Milliseconds(), s.opts.PingTimeout.Milliseconds(), s.opts.MaxPayload}
	if transport == polling && s.opts.upgrades() {
		g.Upgrades = []string{webSocket}
	}
	b, err := json.Marshal(g)
	if err != nil { // numbers and ASCII: cannot be
		return "{}"
	}
	return string(b)
}
