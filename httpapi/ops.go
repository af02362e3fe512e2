package httpapi

import (
	_ "embed"
	"encoding/json"
	"net/http"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/identity"
)

//go:embed openapi.json
var spec []byte

// Spec is the OpenAPI specification, JSON. It is read-only.
func Spec() []byte { return spec }

// serveSpec serves what is public to pages of every origin.
func serveSpec(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	writeJSON(w, http.StatusOK, spec)
}

// healthz answers as long as the process serves requests. It checks nothing else.
func (a *API) healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, []byte(`{"status":"ok"}`))
}

// readyz reports whether the node should get traffic, and which shards are down. Their
// names, which may be those of hosts, are for the readers of the metrics.
func (a *API) readyz(w http.ResponseWriter, r *http.Request) {
	down, err := a.cfg.Ready()
	if err != nil {
		a.fail(w, r, &chat.Error{Kind: chat.Unavailable, Op: "httpapi.readyz", Text: "not ready", RetryAfter: 1000, Err: err})
		return
	}
	reply := struct {
		Status   string   `json:"status"`
		Degraded []string `json:"degraded,omitempty"`
	}{Status: "ready"}
	if len(down) > 0 {
		reply.Status = "degraded"
		c := &call{API: a, w: w, r: r, ctx: r.Context()}
		if a.cfg.PublicMetrics || c.mayReadMetrics() == nil {
			reply.Degraded = down
		}
	}
	body, err := json.Marshal(reply)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, body)
}

// serveMetrics serves the metrics to API keys and, where that is configured, without
// authentication. That a request comes from this machine proves nothing: a proxy on it
// may forward requests from anywhere. A listener of their own is for scrapers without a key.
func (a *API) serveMetrics(w http.ResponseWriter, r *http.Request) {
	if !a.cfg.PublicMetrics {
		c := &call{API: a, w: w, r: r, ctx: r.Context()}
		if err := c.mayReadMetrics(); err != nil {
			a.fail(w, r, err)
			return
		}
	}
	a.prom.ServeHTTP(w, r)
}

// mayReadMetrics refuses all but API keys with one of two scopes.
func (c *call) mayReadMetrics() error {
	refused := chat.E(chat.Forbidden, "the metrics are for API keys with the scope metrics or read; without a key they are served on metrics_listen")
	if len(bearers(c.r.Header)) == 0 {
		return &chat.Error{Kind: chat.Unauthed, Op: "httpapi.metrics", Text: refused.Text}
	}
	id, _, err := c.identify()
	if err != nil {
		return err
	}
	if !id.Allows(identity.ScopeMetrics) && !id.Allows(identity.ScopeRead) {
		return refused
	}
	return nil
}
