package socketio

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/internal/guard"
)

// Reasons for the end of a socket. The other ones come from Engine.IO:
// engineio.ReasonTransportClose and its neighbours.
const (
	ReasonClientDisconnect = "client namespace disconnect" // the client left the namespace
	ReasonServerDisconnect = "server namespace disconnect" // Socket.Disconnect, or a handler that panicked
	ReasonForcedClose      = "forced server close"         // the client broke the order of the protocol, or joined no namespace
)

var (
	// ErrClosed says that the socket is not connected, or not any more.
	ErrClosed = errors.New("socketio: the socket is not connected")
	// ErrFull says that the client does not keep up. Its connection is closed.
	ErrFull = errors.New("socketio: too much is queued for the client")
	// ErrTimeout says that the client did not acknowledge in time.
	ErrTimeout = errors.New("socketio: the client did not acknowledge in time")
	// ErrAcks says that too many events of a socket wait for acks.
	ErrAcks = errors.New("socketio: too many events wait for acks")
	// ErrAcked says that the event wants no ack or has got it.
	ErrAcked = errors.New("socketio: the event wants no ack or has got it")
)

// Options tune a Server. Zero values mean the defaults.
type Options struct {
	Engine engineio.Options

	ConnectTimeout    time.Duration // a client must have joined a namespace within this, 45 s
	AttachmentTimeout time.Duration // all attachments of a packet must have come within this, 10 s
	MaxAttached       int           // bytes of all attachments of one packet, 4 MiB
	MaxAcks           int           // events of one socket that wait for acks, 1,000

	// ServeClient answers requests for files of the client, socket.io.js and those
	// beside it: clientfiles.Handler(). Nil serves none.
	ServeClient http.Handler

	// Recovery is off unless it has a Window.
	Recovery Recovery

	// Writer makes the Writer of each connection, before anything is sent. Nil is the
	// connection itself. Closed, if set, is called once when a connection has ended,
	// after OnDisconnect of its sockets.
	Writer func(*engineio.Socket) Writer
	Closed func(w Writer, reason string)

	Log *slog.Logger // nil is that of Engine
}

// PongWriter is a Writer that is also called when the client has answered a ping;
// see engineio.PongHandler.
type PongWriter interface{ Pong() }

// TooLargeWriter is a Writer that is also called when the client has sent more than
// it may; see engineio.TooLargeHandler. It is expected to close the connection.
type TooLargeWriter interface{ TooLarge() }

// Writer is the outgoing side of one connection; *engineio.Socket is one. A program
// that writes frames of its own to Socket.Engine sets its own Writer, so that all
// that the server sends to the client goes through one ordered queue. Its methods
// are called by any goroutine and must not wait.
type Writer interface {
	// Send queues all messages, in order and with no other message in between, or
	// none. It neither keeps nor changes their data.
	Send(ms ...engineio.Message) error
	// Close ends the connection behind what was sent.
	Close(reason string)
}

func (o *Options) setDefaults() {
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 45 * time.Second
	}
	if o.AttachmentTimeout <= 0 {
		o.AttachmentTimeout = 10 * time.Second
	}
	if o.MaxAttached <= 0 {
		o.MaxAttached = 4 << 20
	}
	if o.MaxAcks <= 0 {
		o.MaxAcks = 1000
	}
	if o.Engine.EscapeText == nil {
		o.Engine.EscapeText = engineio.EscapeJSON // packets are JSON, which may be written in ASCII
	}
	if o.Log == nil {
		o.Log = o.Engine.Log
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Writer == nil {
		o.Writer = func(e *engineio.Socket) Writer { return e }
	}
	o.Recovery.setDefaults(&o.Engine)
}

// Server is an http.Handler, usually at /socket.io/. Namespaces and their handlers
// are set up before it serves.
type Server struct {
	// Set once.
	opts   Options
	engine *engineio.Server
	now    func() time.Time

	counts struct {
		dropped, slow, recovered atomic.Uint64

		panics guard.Panics
	}

	// Guarded by mu.
	mu         sync.RWMutex
	namespaces map[string]*Namespace
}

// Stats are a server's counters. They only grow.
type Stats struct {
	Dropped   uint64 // volatile events that a client was not ready for
	Slow      uint64 // connections closed because their client did not keep up
	Panics    uint64 // of handlers
	Recovered uint64 // sockets
}

// New makes a server with the namespace "/". Close ends it.
func New(o Options) *Server {
	o.setDefaults()
	s := &Server{opts: o, now: time.Now, namespaces: map[string]*Namespace{}}
	s.engine = engineio.New((*engineHandler)(s), o.Engine)
	s.Of("/")
	return s
}

// Of returns the namespace with that name and makes it if need be. It panics
// when the name is none: see MaxNamespace; names begin with a slash and hold no
// comma, question mark or control character.
func (s *Server) Of(name string) *Namespace {
	if err := checkNamespace(name); err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.namespaces[name]
	if n == nil {
		n = newNamespace(s, name)
		s.namespaces[name] = n
	}
	return n
}

func (s *Server) namespace(name string) *Namespace {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.namespaces[name]
}

// ServeHTTP answers a request of a client.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := s.opts.ServeClient; h != nil && isFile(path.Base(r.URL.Path)) {
		h.ServeHTTP(w, r)
		return
	}
	s.engine.ServeHTTP(w, r)
}

// isFile reports whether a name can be that of a file of the client.
func isFile(name string) bool {
	return strings.HasPrefix(name, "socket.io.") && (strings.HasSuffix(name, ".js") || strings.HasSuffix(name, ".map"))
}

// Engine is the server below, for its counters.
func (s *Server) Engine() *engineio.Server { return s.engine }

// Close ends all connections and refuses new ones. Clients reconnect by
// themselves when there is a server again.
func (s *Server) Close(ctx context.Context) error { return s.engine.Close(ctx) }

// Stats returns the counters as they are now.
func (s *Server) Stats() Stats {
	c := &s.counts
	return Stats{c.dropped.Load(), c.slow.Load(), c.panics.Load(), c.recovered.Load()}
}

// engineHandler is the side of Server that the engine calls.
type engineHandler Server

func (h *engineHandler) Open(e *engineio.Socket) {
	s := (*Server)(h)
	c := newClient(s, e)
	e.Data = c
	c.open()
}

func (h *engineHandler) Message(e *engineio.Socket, m engineio.Message) {
	if c, ok := e.Data.(*client); ok {
		c.receive(m)
	}
}

func (h *engineHandler) Pong(e *engineio.Socket) {
	if c, ok := e.Data.(*client); ok {
		if w, ok := c.out.(PongWriter); ok {
			w.Pong()
		}
	}
}

func (h *engineHandler) TooLarge(e *engineio.Socket) {
	c, ok := e.Data.(*client)
	if !ok {
		return // Writer panicked
	}
	if w, ok := c.out.(TooLargeWriter); ok {
		w.TooLarge()
		return
	}
	c.shut(engineio.ReasonTransportError)
}

func (h *engineHandler) Close(e *engineio.Socket, reason string) {
	if c, ok := e.Data.(*client); ok { // else Writer panicked
		c.finish(reason)
	}
}
