package sioapi

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/internal/clientaddr"
	"github.com/roomtide/roomtide/internal/connlimit"
	"github.com/roomtide/roomtide/internal/origin"
	"github.com/roomtide/roomtide/session"
	"github.com/roomtide/roomtide/socketio"
	"github.com/roomtide/roomtide/socketio/clientfiles"
)

// Config is how a Handler is made. Zero values mean the defaults.
type Config struct {
	Hub *hub.Hub // required

	// Open returns the conversation of a new connection, whose replies codec frames and
	// which the request opens. Required. Where it admits no guest, a client that can
	// send a token with the handshake must, and any other has Hello to do so. Guests
	// may stay silent: a page may connect when it is loaded and join much later.
	Open func(conn *hub.Conn, codec Codec, r *http.Request) *session.Session

	// Secret signs what clients resume their session with (at least 32 bytes; nil: a
	// new one). ResumeFile is where Close keeps the resumable sessions until New
	// reads and removes it; "" keeps nothing.
	Secret     []byte
	ResumeFile string

	// Nodes are the others of a cluster, which have sessions too; nil: there are none.
	Nodes Nodes

	// Ask asks them for a session (Handler.Give); nil is none. HandOver hands sessions to
	// one of them (Handler.TakeOver), and reports whether they are still this node's.
	Ask      func(ctx context.Context, pid string) []byte
	HandOver func(sessions []byte) (mine bool)

	Recovery string // of clients that do not say in auth whether they resume: RecoveryAuto

	Origins    []string                         // web origins allowed besides the node's own; "*" is all
	Network    func(*http.Request) netip.Prefix // by which clients are limited; nil: that of the peer
	Conns      *connlimit.Limiter               // admission of connections that have identified themselves; nil is no limit
	Pending    *connlimit.Pending               // holds the others; nil is no limit
	MaxConns   int                              // Engine.IO sessions at once, also those that have ended and wait for their last poll; 0 is no limit
	FrameBytes int                              // one message from a client, 64 KiB
	Deflate    bool                             // compress, for WebSockets of clients that offer it
	Hello      time.Duration                    // until a client has joined the main namespace and, where it must, identified itself; 10 s
	Ping       time.Duration                    // between pings, 25 s
	Timeout    time.Duration                    // for the answer to a ping, 20 s
	Log        *slog.Logger                     // nil discards
	Registerer prometheus.Registerer            // nil registers nothing
}

func (c *Config) setDefaults() {
	if c.Pending == nil {
		c.Pending = connlimit.NewPending(0, 0)
	}
	if c.Network == nil {
		c.Network = func(r *http.Request) netip.Prefix { return clientaddr.Network(clientaddr.Peer(r)) }
	}
	if c.Conns == nil {
		c.Conns = connlimit.New(0, 0)
	}
	if c.FrameBytes <= 0 {
		c.FrameBytes = chat.DefaultLimits().FrameBytes
	}
	if c.Hello <= 0 {
		c.Hello = 10 * time.Second
	}
	if c.Recovery == "" {
		c.Recovery = RecoveryAuto
	}
	if c.Secret == nil {
		c.Secret = make([]byte, 32)
		rand.Read(c.Secret)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// maxQueued is how many bytes may wait for a client that does not poll, or reads
// slowly. Behind that the hub feels backpressure and keeps a cursor, which has a
// bound of its own.
const maxQueued = 128 << 10

// maxBody is how many bytes of messages a request may hold. Clients before 4.5 put
// into one all that waits to be sent.
const maxBody = 1_000_000

// Handler serves Socket.IO; it is an http.Handler for /socket.io/.
type Handler struct {
	// Set once.
	cfg       Config
	origins   origin.Policy
	metrics   *metrics
	io        *socketio.Server
	resumable *resumeStore
	living    sync.Map        // *client by the id of its socket, of those that can resume: until resumable has the session
	others    *others         // nil on a single node
	leaving   atomic.Bool     // LetGo was called
	ctx       context.Context // of every command; ends with Close
	cancel    context.CancelFunc
}

// New makes a Handler. Close ends it.
func New(cfg Config) *Handler {
	cfg.setDefaults()
	h := &Handler{cfg: cfg, origins: origin.New(cfg.Origins, cfg.Log)}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.io = socketio.New(socketio.Options{
		Engine:         h.engineOptions(),
		ServeClient:    clientfiles.Handler(),
		ConnectTimeout: cfg.Hello,
		MaxAttached:    cfg.FrameBytes,
		Writer:         func(e *engineio.Socket) socketio.Writer { return newClient(h, e) },
		Closed:         func(w socketio.Writer, _ string) { w.(*client).gone() },
		Log:            cfg.Log,
	})
	h.metrics = newMetrics(cfg.Registerer, h.io)
	h.resumable = newResumeStore(maxResumable, h.metrics.evicted)
	h.metrics.watch(cfg.Registerer, h.resumable)
	if cfg.ResumeFile != "" {
		if err := h.resumable.load(cfg.ResumeFile); err != nil {
			cfg.Log.Warn("sessions of before the start cannot be resumed", "err", err)
		}
	}
	h.handle()
	h.others.listen()
	return h
}

// engineOptions are those of the transport.
func (h *Handler) engineOptions() engineio.Options {
	cfg := &h.cfg
	o := engineio.Options{
		PingInterval: cfg.Ping, PingTimeout: cfg.Timeout,
		Deflate: cfg.Deflate, MaxPayload: cfg.FrameBytes, MaxQueued: maxQueued, MaxSockets: cfg.MaxConns,
		MaxBody: maxBody, Distrust: true,
		CheckOrigin: h.checkOrigin, Check: h.check, CORS: h.origins.Known, OpenCORS: h.origins.All(), Log: cfg.Log,
	}
	if cfg.Nodes != nil {
		h.others = newOthers(h)
		o.GenerateID, o.Elsewhere = h.others.newID, h.others.serve
	}
	return o
}

// handle sets the handlers of the main namespace.
func (h *Handler) handle() {
	main := h.io.Of("/")
	main.Recover(sessions{h})
	main.Use(func(s *socketio.Socket) error { return clientOf(s).admit(s) })
	main.OnConnect(func(s *socketio.Socket) { clientOf(s).connected(s) })
	main.OnDisconnect(func(s *socketio.Socket, reason string) { clientOf(s).left(reason) })
	main.OnAny(func(s *socketio.Socket, ev *socketio.Event) { clientOf(s).command(ev) })
}

func clientOf(s *socketio.Socket) *client { return s.Writer().(*client) }

// checkOrigin judges the page that makes a request.
func (h *Handler) checkOrigin(r *http.Request) error {
	if h.origins.Allow(r) {
		return nil
	}
	h.metrics.refused.WithLabelValues("origin").Inc()
	return &engineio.CheckError{Status: http.StatusForbidden, Text: "pages of this origin are not allowed here"}
}

// check is the admission of a handshake, before anything is allocated for it.
func (h *Handler) check(r *http.Request) error {
	if reason, status := h.cfg.Conns.Check(h.cfg.Network(r)); reason != "" {
		h.metrics.refused.WithLabelValues(reason).Inc()
		return &engineio.CheckError{Status: status, Text: "too many connections, come back later"}
	}
	return nil
}

// ServeHTTP answers a request of a client.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.io.ServeHTTP(w, r) }

// Close ends all connections, as far as the hub has not, and returns when they
// are gone, which takes a few seconds at most. New ones are refused.
func (h *Handler) Close() {
	h.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	h.LetGo()
	if err := h.io.Close(ctx); err != nil {
		h.cfg.Log.Warn("connections did not end in time", "err", err)
	}
	h.handOver()
	h.others.close()
	if h.cfg.ResumeFile == "" {
		return
	}
	if err := h.resumable.save(h.cfg.ResumeFile); err != nil {
		h.cfg.Log.Warn("sessions will not be resumable after the restart", "err", err)
	}
}
