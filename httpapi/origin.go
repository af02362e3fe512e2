package httpapi

import (
	"net/http"

	"github.com/roomtide/roomtide/chat"
)

// Browsers send in Origin which web page a request comes from. Pages of other origins
// than the node's own and the configured ones are refused on every route of /v1: the
// same rule as for WebSockets. Requests without Origin are not from a page.
//
// An allowed page may send the headers that authenticate, and no cookies (no
// Access-Control-Allow-Credentials): the API has none.

const (
	allowMethods  = "GET, POST, PUT, PATCH, DELETE"
	exposeHeaders = "Location, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Roomtide-Limit"
	allowHeaders  = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Prefer, Roomtide-User"
)

// checkOrigin adds the headers of CORS and refuses foreign pages.
func (a *API) checkOrigin(h http.Header, r *http.Request) error {
	h.Add("Vary", "Origin")
	if !a.origins.Allow(r) {
		return chat.E(chat.Forbidden, "pages of this origin are not allowed here")
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return nil
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", exposeHeaders)
	return nil
}

// isPreflight reports whether the request is a preflight of CORS.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

func preflight(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", allowMethods)
	h.Set("Access-Control-Allow-Headers", allowHeaders)
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}
