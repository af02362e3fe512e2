// Package origin decides which web pages may connect, by the Origin header that
// browsers send (RFC 6454).
package origin

import (
	"net/http"
	"net/url"
	"strings"
)

// Policy is the set of allowed origins: the configured ones and that of the host
// the request names. A request without an Origin does not come from a browser
// and is allowed.
type Policy struct {
	all  bool
	list map[string]bool
}

// New takes the configured list; "*" allows every page. An entry that is
// no origin matches nothing.
func New(list []string) Policy {
	o := Policy{list: make(map[string]bool, len(list))}
	for _, s := range list {
		if s == "*" {
			o.all = true
		} else if s, _, ok := normalOrigin(strings.TrimSuffix(s, "/")); ok {
			o.list[s] = true
		}
	}
	return o
}

// Allow reports whether the request's page may connect. Two Origin headers, or
// one that is no origin ("null"), are refused unless every page is allowed.
func (o *Policy) Allow(r *http.Request) bool {
	values := r.Header["Origin"]
	if len(values) == 0 || o.all {
		return true
	}
	origin, scheme, ok := normalOrigin(values[0])
	if !ok || len(values) > 1 {
		return false
	}
	// A proxy may have taken TLS off, so that our own scheme is not known: the
	// page's counts, and decides the default port.
	own, _, ok := normalOrigin(scheme + "://" + r.Host)
	return ok && origin == own || o.list[origin]
}

// Known reports whether pages of the origin are allowed by the configured list.
func (o *Policy) Known(origin string) bool {
	if o.all {
		return true
	}
	origin, _, ok := normalOrigin(origin)
	return ok && o.list[origin]
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
