package wsapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/internal/clientaddr"
	"github.com/roomtide/roomtide/internal/connlimit"
	"github.com/roomtide/roomtide/internal/origin"
	"github.com/roomtide/roomtide/internal/poll"
	"github.com/roomtide/roomtide/internal/wheel"
	"github.com/roomtide/roomtide/websocket"
	"github.com/roomtide/roomtide/wire"
)

// Session is one client's conversation (session.Session). Its methods are
// called one after another, by the goroutine that reads the connection. A command is
// the caller's again when they return.
type Session interface {
	Handle(ctx context.Context, cmd *wire.Command)
	BadFrame(cmd *wire.Command, err error)
	Authenticated() bool
	Close()
}

// Config is how a Handler is made. Zero values mean the defaults.
type Config struct {
	Hub  *hub.Hub                                                   // required
	Open func(conn *hub.Conn, codec Codec, r *http.Request) Session // required: the conversation of a new connection, whose replies codec frames and which the request opens

	Origins    []string                         // web origins allowed besides the node's own; "*" is all
	Network    func(*http.Request) netip.Prefix // by which clients are limited; nil: that of the peer
	Conns      *connlimit.Limiter               // admission of connections that have identified themselves; nil is no limit
	Pending    *connlimit.Pending               // holds the others; nil is no limit
	FrameBytes int                              // one message from a client, 64 KiB
	Deflate    bool                             // compress, for clients that offer it
	Hello      time.Duration                    // until a client has identified itself, 10 s
	Ping       time.Duration                    // between pings, 25 s
	Timeout    time.Duration                    // of silence after which a connection ends, 60 s
	Log        *slog.Logger                     // nil discards
	Registerer prometheus.Registerer            // nil registers nothing
}

func (c *Config) setDefaults() {
	d := chat.DefaultLimits()
	if c.Conns == nil {
		c.Conns = connlimit.New(0, 0)
	}
	if c.Pending == nil {
		c.Pending = connlimit.NewPending(0, 0)
	}
	if c.Network == nil {
		c.Network = func(r *http.Request) netip.Prefix { return clientaddr.Network(clientaddr.Peer(r)) }
	}
	if c.FrameBytes <= 0 {
		c.FrameBytes = d.FrameBytes
	}
	for _, s := range []struct {
		d *time.Duration
		v time.Duration
	}{{&c.Hello, 10 * time.Second}, {&c.Ping, 25 * time.Second}, {&c.Timeout, 60 * time.Second}} {
		if *s.d <= 0 {
			*s.d = s.v
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// helloBytes bounds a message until the client has identified itself. A token may
// have 8 KiB.
const helloBytes = 16 << 10

// Protocol is the subprotocol a client may ask for, and need not.
const Protocol = "roomtide.v1"

// Handler turns requests into connections. It is an http.Handler for GET /ws.
type Handler struct {
	// Set once.
	cfg     Config
	origins origin.Policy
	metrics *metrics
	readers *poll.Readers
	ctx     context.Context // of every command; ends with Close
	cancel  context.CancelFunc
	wheel   *wheel.Wheel[*client] // all connections
	done    sync.WaitGroup        // the wheel, and one for each admitted connection

	// Guarded by mu.
	mu      sync.Mutex
	closed  bool
	entered uint // connections so far
}

// New makes a Handler and starts its heartbeat. Close ends it.
func New(cfg Config) *Handler {
	h := newHandler(cfg)
	h.done.Go(func() { h.wheel.Run(h.ctx.Done(), h.tick) })
	return h
}

func newHandler(cfg Config) *Handler {
	cfg.setDefaults()
	readers := poll.NewReaders(cfg.Log)
	h := &Handler{cfg: cfg, origins: origin.New(cfg.Origins, cfg.Log), metrics: newMetrics(cfg.Registerer, readers), readers: readers}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.wheel = newWheel(&h.cfg)
	return h
}

// ServeHTTP answers a handshake and returns; the connection lives on.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.origins.Allow(r) {
		h.metrics.refused.WithLabelValues("origin").Inc()
		http.Error(w, "pages of this origin are not allowed here", http.StatusForbidden)
		return
	}
	from := h.cfg.Network(r)
	if reason, status := h.admit(from); status != 0 {
		h.metrics.refused.WithLabelValues(reason).Inc()
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
		http.Error(w, http.StatusText(status), status)
		return
	}
	ws, err := websocket.Upgrade(w, r, websocket.UpgradeOptions{Protocols: []string{Protocol}, Deflate: h.cfg.Deflate})
	if err != nil {
		h.metrics.refused.WithLabelValues("handshake").Inc()
		h.done.Done()
		return
	}
	// On a goroutine of its own: the stack of this one has grown with net/http, and
	// where reading blocks it would stay so for the life of the connection.
	newClient(h, ws, from, r).reader.Start()
}

// Close ends all connections, as far as the hub has not, and returns when they
// are gone, which takes a few seconds at most. New ones are refused.
func (h *Handler) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	for _, c := range h.wheel.All() {
		c.conn.Close(chat.ByeDraining)
	}
	h.cancel()
	h.done.Wait()
	h.readers.Close()
}
