package httpapi

import (
	"net/http"

	"github.com/roomtide/roomtide/chat"
)

// Browsers say with Origin which web page a request comes from. Pages of other
// origins than ours and the configured ones are refused, whatever they ask: the
// same rule as for WebSockets. Requests without Origin are not from a page.
//
// An allowed page may send the headers that say who is speaking, and no cookies
// (no Access-Control-Allow-Credentials): there are none here.

const (
	allowMethods = "GET, POST, PUT, PATCH, DELETE"
	allowHeaders = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Roomtide-User"
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
	h.Set("Access-Control-Expose-Headers", "Retry-After")
	return nil
}

// isPreflight reports whether a browser asks what it may send for a page.
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
