// Package httpapi is the HTTP API, for back ends, scripts and clients that cannot
// keep a WebSocket open.
//
// The specification openapi.json is written by hand: it is served as it is, has
// every route, and the tests compare every answer with it. Answers are the objects
// of the native protocol (package wire), errors are RFC 9457 problems with the same
// codes.
//
// Credentials are in headers alone: Authorization with a token or an API key, or
// Roomtide-User where guests are accepted. There are no cookies, and nothing in a URL
// is a credential.
//
// A request passes, in this order: recovery from panics, counting and the debug log,
// security headers (middleware.go), the origin (origin.go), the identity (auth.go),
// and then the handler in the file named after its subject.
package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/cluster"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/internal/clientaddr"
	"github.com/roomtide/roomtide/internal/connlimit"
	"github.com/roomtide/roomtide/internal/origin"
	"github.com/roomtide/roomtide/store"
)

const (
	requestTime   = 30 * time.Second // for everything but the event stream
	keyTime       = time.Second      // between looks at the API key of an event stream
	heartbeatTime = 15 * time.Second // between heartbeats on an event stream
	writeTime     = 20 * time.Second // for an event stream to take one write, or writeBytes of it
	writeBytes    = 64 << 10         // 3 KB a second
	lifeTime      = 10 * time.Minute // of an event stream, on average
	maxStreams    = 10_000           // event streams at once, unless configured
)

// Config has the dependencies and settings of an API. Engine, Hub, Verifier
// and Registry are required.
type Config struct {
	Engine   *engine.Engine
	Hub      *hub.Hub
	Verifier *identity.Verifier
	Registry *prometheus.Registry // what /metrics shows; the API registers its own metrics here

	Limits        chat.Limits                                     // zero: the defaults
	Feeds         Feeds                                           // what back ends pull
	Adoptions     store.AdoptionLog                               // which chat is in force while another moves in
	Mover         Mover                                           // moves slots between shards
	Push          Push                                            // notifications, for operators
	PushTTL       time.Duration                                   // for which notifications are kept that do not say; 0: a day
	Webhooks      Webhooks                                        // endpoints of the host's back end
	Nodes         func(context.Context) ([]cluster.Info, error)   // which nodes there are
	Origins       []string                                        // web origins besides the node's own, or "*"
	PublicMetrics bool                                            // /metrics without authentication, not for loopback and API keys alone
	MaxStreams    int                                             // event streams at once; 0: 10,000
	ClientIP      func(*http.Request) netip.Addr                  // the address of the client, behind trusted proxies; nil: the peer
	Network       func(*http.Request) netip.Prefix                // by which clients are limited; nil: that of ClientIP
	Conns         *connlimit.Limiter                              // admission of event streams, shared with other transports; nil: no limit
	OnStream      func(*http.Request)                             // is called before a request becomes an event stream; nil: nothing is done
	Revoke        func(context.Context, chat.UserID) (int, error) // ends a user's connections on all nodes; nil: on this one
	NoGuest       func(*http.Request) error                       // returns why a request needs a credential; nil: where guests are welcome none does
	Known         func(*http.Request) bool                        // whether the request names this node by one of its names; nil: every name is
	Log           *slog.Logger                                    // nil: nothing is logged

	// Ready returns the shards whose rooms cannot be written, and the reason for which the
	// node should get no traffic. nil: it is always ready.
	Ready func() (down []string, err error)
}

// API serves /v1/…, /healthz, /readyz, /metrics and /openapi.json. It is an
// http.Handler, safe for concurrent use.
type API struct {
	// Set once.
	cfg       Config
	log       *slog.Logger
	mux       *http.ServeMux
	origins   origin.Policy
	metrics   *metrics
	failures  failures
	adoptions *adoptions
	prom      http.Handler
	heartbeat time.Duration
	pieceTime time.Duration
	life      time.Duration

	streams  streams  // now
	warnings warnings // in the log
}

// New returns an API.
func New(cfg Config) *API {
	cfg.setDefaults()
	a := &API{
		cfg: cfg, log: cfg.Log, origins: origin.New(cfg.Origins, cfg.Log),
		metrics: newMetrics(cfg.Registry), failures: newFailures(time.Now), adoptions: &adoptions{log: cfg.Adoptions, now: time.Now},
		prom:      promhttp.HandlerFor(cfg.Registry, promhttp.HandlerOpts{}),
		heartbeat: heartbeatTime, pieceTime: pieceTime, life: lifeTime,
	}
	a.mux = a.routes()
	return a
}

func (cfg *Config) setDefaults() {
	if cfg.Limits == (chat.Limits{}) {
		cfg.Limits = chat.DefaultLimits()
	}
	if cfg.MaxStreams == 0 {
		cfg.MaxStreams = maxStreams
	}
	if cfg.PushTTL == 0 {
		cfg.PushTTL = 24 * time.Hour
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Ready == nil {
		cfg.Ready = func() ([]string, error) { return nil, nil }
	}
	if cfg.ClientIP == nil {
		cfg.ClientIP = clientaddr.Peer
	}
	if cfg.Network == nil {
		cfg.Network = func(r *http.Request) netip.Prefix { return clientaddr.Network(cfg.ClientIP(r)) }
	}
	if cfg.Conns == nil {
		cfg.Conns = connlimit.New(0, 0)
	}
	if cfg.OnStream == nil {
		cfg.OnStream = func(*http.Request) {}
	}
	if cfg.NoGuest == nil {
		cfg.NoGuest = func(*http.Request) error { return nil }
	}
	if cfg.Known == nil {
		cfg.Known = func(*http.Request) bool { return true }
	}
	if cfg.Revoke == nil {
		cfg.Revoke = func(_ context.Context, user chat.UserID) (int, error) {
			return cfg.Hub.CloseUser(user, chat.ByeRevoked), nil
		}
	}
}
