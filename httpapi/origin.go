package httpapi

import (
	"net/http"
	"net/url"
	"strings"

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

// originSet is the configured list. An entry that is no origin matches nothing.
func originSet(list []string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, s := range list {
		if s == "*" {
			set[s] = true
		} else if o, _, ok := normalOrigin(strings.TrimSuffix(s, "/")); ok {
			set[o] = true
		}
	}
	return set
}

// checkOrigin adds the headers of CORS and refuses foreign pages.
func (a *API) checkOrigin(h http.Header, r *http.Request) error {
	h.Add("Vary", "Origin")
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return nil
	}
	if len(values) > 1 || !a.allowed(r, values[0]) {
		return chat.E(chat.Forbidden, "pages of this origin are not allowed here")
	}
	h.Set("Access-Control-Allow-Origin", values[0])
	h.Set("Access-Control-Expose-Headers", "Retry-After")
	return nil
}

func (a *API) allowed(r *http.Request, origin string) bool {
	if a.origins["*"] {
		return true
	}
	o, scheme, ok := normalOrigin(origin)
	if !ok {
		return false
	}
	// A proxy may have taken TLS off, so that our own scheme is not known: the
	// page's counts, and decides the default port.
	own, _, ok := normalOrigin(scheme + "://" + r.Host)
	return ok && o == own || a.origins[o]
}

// normalOrigin returns an origin in lower case without a default port; ok is
// false for what is not scheme://host[:port] and nothing more.
func normalOrigin(s string) (origin, scheme string, ok bool) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || !strings.EqualFold(s, u.Scheme+"://"+u.Host) {
		return "", "", false
	}
	ports := map[string]string{"http": ":80", "https": ":443"}
	port, ok := ports[u.Scheme]
	return u.Scheme + "://" + strings.TrimSuffix(strings.ToLower(u.Host), port), u.Scheme, ok
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
