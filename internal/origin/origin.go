// Package origin decides which web pages may connect, by the Origin header that
// browsers send (RFC 6454), and which names of the node a browser may use, by the
// Host header.
package origin

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Policy is the set of allowed origins: the configured ones and that of the host
// the request names. A request without an Origin does not come from a browser
// and is allowed.
type Policy struct {
	all  bool
	list map[string]bool
	log  *slog.Logger
	some *rate.Limiter // bounds the lines that clients can cause in log
}

// New takes the configured list; "*" allows every page. An entry that is no origin
// (Check) matches nothing. Refusals are logged to log, a few a minute at most.
func New(list []string, log *slog.Logger) Policy {
	o := Policy{list: make(map[string]bool, len(list)), log: log, some: rate.NewLimiter(rate.Every(time.Minute), 1)}
	for _, s := range list {
		if s == "*" {
			o.all = true
		} else if s, _, ok := normal(strings.TrimSuffix(s, "/")); ok {
			o.list[s] = true
		}
	}
	return o
}

// Check returns what is wrong with an entry of the configured list, "" if nothing
// is. Any scheme is possible: pages of applications have ones of their own, such as
// capacitor://localhost.
func Check(entry string) string {
	_, _, ok := normal(entry)
	switch {
	case entry == "*", ok && !strings.Contains(entry, "*"):
		return ""
	case strings.Contains(entry, "*"):
		return "patterns are not known here: write each origin out, or * alone for all"
	case entry == "null":
		return "null is the origin of every page without one"
	}
	return "write scheme and host only, such as https://www.example.org"
}

// Allow reports whether the request's page may connect, and logs it if it may not.
// Two Origin headers, or one that is no origin ("null"), are refused unless every
// page is allowed.
func (o *Policy) Allow(r *http.Request) bool {
	ok := o.allow(r)
	if !ok && o.log != nil && o.some.Allow() {
		o.log.Warn("a page of another origin was refused", "origin", short(strings.Join(r.Header["Origin"], " ")),
			"host", short(r.Host), "path", short(r.URL.Path), "help", help(r))
	}
	return ok
}

func (o *Policy) allow(r *http.Request) bool {
	values := r.Header["Origin"]
	if len(values) == 0 || o.all {
		return true
	}
	origin, scheme, ok := normal(values[0])
	if !ok || len(values) > 1 {
		return false
	}
	return o.list[origin] || own(r.Host, scheme) == origin
}

// own is the origin of the node's own pages, for a page with that scheme: a proxy
// may have taken TLS off, so that the node's own is not known. It is "" for a scheme
// that no page of a web server has.
func own(host, scheme string) string {
	if scheme != "http" && scheme != "https" {
		return ""
	}
	origin, _, _ := normal(scheme + "://" + host)
	return origin
}

// help says which setting lets the page in.
func help(r *http.Request) string {
	u, err := url.Parse(r.Header.Get("Origin"))
	if err == nil && u.Port() != "" && strings.EqualFold(u.Hostname(), r.Host) {
		return "the proxy passes on the name of the host without the port: nginx needs proxy_set_header Host $http_host"
	}
	return "add the origin to the setting origins; if the page is the node's own, let the proxy pass on the Host header (nginx: proxy_set_header Host $http_host; Apache: ProxyPreserveHost On)"
}

// short bounds what a client can put into a log line.
func short(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// All reports whether every page is allowed.
func (o *Policy) All() bool { return o.all }

// Known reports whether pages of the origin are allowed by name in the configured
// list.
func (o *Policy) Known(origin string) bool {
	origin, _, ok := normal(origin)
	return ok && o.list[origin]
}

// normal returns an origin in lower case without a default port; ok is false for
// what is not scheme://host[:port] and nothing more.
func normal(s string) (origin, scheme string, ok bool) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || !strings.EqualFold(s, u.Scheme+"://"+u.Host) {
		return "", "", false
	}
	ports := map[string]string{"http": ":80", "https": ":443"}
	host := strings.ToLower(u.Host)
	if port := ports[u.Scheme]; port != "" {
		host = strings.TrimSuffix(host, port)
	}
	return u.Scheme + "://" + host, u.Scheme, true
}
