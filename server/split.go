package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/internal/clientaddr"
	"github.com/roomtide/roomtide/internal/connlimit"
	"github.com/roomtide/roomtide/internal/limit"
	"github.com/roomtide/roomtide/internal/netwrite"
)

// split gives each request to its transport. The root takes WebSockets too.
func split(sockets, socketIO, api, page http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch p := r.URL.Path; {
		case p == "/ws", p == "/" && isUpgrade(r):
			sockets.ServeHTTP(w, r)
		case strings.HasPrefix(p, "/socket.io/"), p == "/socket.io":
			socketIO.ServeHTTP(w, r)
		case isAPI(p):
			api.ServeHTTP(w, r)
		case p == "/" && r.Method == http.MethodOptions: // the question of some proxies whether the node is well
			w.Header().Set("Allow", "GET, HEAD, OPTIONS")
			w.WriteHeader(http.StatusNoContent)
		case isUpgrade(r):
			http.Error(w, "there is no WebSocket at this address: connect to /ws, or to /socket.io/ with Socket.IO", http.StatusNotFound)
		default:
			page.ServeHTTP(w, r)
		}
	})
}

func isUpgrade(r *http.Request) bool { return strings.EqualFold(r.Header.Get("Upgrade"), "websocket") }

// operations are the addresses of the API outside of /v1.
var operations = []string{"/v1", "/healthz", "/readyz", "/metrics", "/openapi.json"}

// isAPI reports whether the API answers: also where the path has slashes too many, since
// it says so and the page would not.
func isAPI(p string) bool {
	p = path.Clean("/" + p)
	return strings.HasPrefix(p, "/v1/") || slices.Contains(operations, p)
}

// begins reports whether the request begins a connection that lasts: a WebSocket, a
// session of Socket.IO, or an event stream.
func begins(r *http.Request) bool {
	switch p := r.URL.Path; {
	case p == "/ws", p == "/" && isUpgrade(r):
		return true
	case strings.HasPrefix(p, "/socket.io"):
		return r.Method == http.MethodGet && !r.URL.Query().Has("sid")
	case strings.HasPrefix(p, "/v1/rooms/"):
		return r.Method == http.MethodGet && strings.HasSuffix(p, "/events")
	}
	return false
}

func newHandshakes(perSecond int, reg prometheus.Registerer) *limit.Pace[netip.Prefix] {
	return limit.NewPace[netip.Prefix](limit.PaceConfig{Name: "handshakes", PerSecond: float64(perSecond), Burst: acceptBurst, Registerer: reg})
}

// paced lets requests that begin a connection through at a rate, in turn between the
// networks of clients. When thousands of clients come back at once, the handshakes of
// all of them would leave no time for those that were never cut off. Other requests do
// not wait. See docs/decisions/0014-admission.md.
func paced(handshakes *limit.Pace[netip.Prefix], network func(*http.Request) netip.Prefix, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if begins(r) {
			err := handshakes.Wait(r.Context(), network(r))
			var busy *chat.Error
			if errors.As(err, &busy) {
				w.Header().Set("Retry-After", strconv.FormatInt(max(1, busy.RetryAfter/1000), 10))
				http.Error(w, chat.Public(err).Text, http.StatusServiceUnavailable)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// strict tells browsers to use nothing but HTTPS for this host (HSTS).
func strict(d time.Duration, next http.Handler) http.Handler {
	if d <= 0 {
		return next
	}
	value := fmt.Sprintf("max-age=%d", int64(d.Seconds()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", value)
		next.ServeHTTP(w, r)
	})
}

// warnOfProxies logs once, at the first request that a proxy has forwarded while none is
// trusted: all clients then have the address of the proxy.
func warnOfProxies(log *slog.Logger, trusted clientaddr.Proxies, cfg *config.Config, next http.Handler) http.Handler {
	if len(trusted) > 0 {
		return next
	}
	var warned atomic.Bool
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !warned.Load() && throughProxy(r, cfg) && warned.CompareAndSwap(false, true) {
			log.Warn("requests come through a proxy, but trusted_proxies is empty: clients are counted and logged by the address of the proxy; set trusted_proxies to its network",
				"proxy", clientaddr.Peer(r), "forwarded", clientaddr.Forwarded(r.Header), "guests", cfg.GuestsWelcome())
		}
		next.ServeHTTP(w, r)
	})
}

// throughProxy reports whether a proxy has forwarded the request: it says so, or it came
// from this machine under a name that is not this machine's.
func throughProxy(r *http.Request, cfg *config.Config) bool {
	if clientaddr.Forwarded(r.Header) {
		return true
	}
	if !clientaddr.Peer(r).IsLoopback() || !cfg.Loopback() {
		return false
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "" || strings.EqualFold(host, "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost") {
		return false
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err != nil || !ip.Unmap().IsLoopback()
}

// watchPending exports what waits to be authenticated.
func watchPending(reg prometheus.Registerer, p *connlimit.Pending) {
	reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "roomtide_unauthenticated_connections", Help: "WebSockets and Socket.IO sessions that have not authenticated yet.",
		}, func() float64 { return float64(p.InUse()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "roomtide_unauthenticated_evicted_total", Help: "Connections ended before they had authenticated, because there were too many of them.",
		}, func() float64 { return float64(p.Evicted()) }))
}

// connKey is the key of a request's connection in its context.
type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// lossTime is how long a client of an event stream may leave what was sent to it
// unconfirmed. With the heartbeat of the stream, a client that has lost its network is
// noticed within a minute; the system alone takes a quarter of an hour.
const lossTime = 35 * time.Second

// noticeLoss makes the connection of an event stream end when its client has vanished.
func noticeLoss(r *http.Request) {
	if c, ok := r.Context().Value(connKey{}).(net.Conn); ok {
		netwrite.SetUserTimeout(c, lossTime)
	}
}
