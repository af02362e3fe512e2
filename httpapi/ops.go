package httpapi

import (
	_ "embed"
	"net/http"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/internal/clientaddr"
)

//go:embed openapi.json
var spec []byte

// Spec is the OpenAPI specification, JSON. It is read-only.
func Spec() []byte { return spec }

func serveSpec(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, spec) }

// healthz answers as long as the process serves requests. It checks nothing else.
func (a *API) healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, []byte(`{"status":"ok"}`))
}

// readyz reports whether the node should get traffic.
func (a *API) readyz(w http.ResponseWriter, r *http.Request) {
	if err := a.cfg.Ready(); err != nil {
		a.fail(w, r, &chat.Error{Kind: chat.Unavailable, Op: "httpapi.readyz", Text: "not ready", RetryAfter: 1000, Err: err})
		return
	}
	writeJSON(w, http.StatusOK, []byte(`{"status":"ready"}`))
}

// serveMetrics serves the metrics to requests of this machine, to API keys and,
// where that is configured, without authentication. The answer to others is 404.
func (a *API) serveMetrics(w http.ResponseWriter, r *http.Request) {
	if !a.cfg.PublicMetrics && !a.local(r) {
		c := &call{API: a, w: w, r: r, ctx: r.Context()}
		id, _, err := c.identify()
		if err != nil && chat.KindOf(err) != chat.Unauthed {
			a.fail(w, r, err)
			return
		}
		if err != nil || id.Kind != identity.Server {
			a.fail(w, r, chat.E(chat.NotFound, "there is nothing at this address"))
			return
		}
	}
	a.prom.ServeHTTP(w, r)
}

// local reports whether the request was made on this machine. A request that a proxy
// on this machine has forwarded was not.
func (a *API) local(r *http.Request) bool {
	for name := range r.Header {
		if name == "Forwarded" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded-") {
			return false
		}
	}
	return clientaddr.Peer(r).Unmap().IsLoopback() && a.cfg.ClientIP(r).Unmap().IsLoopback()
}
