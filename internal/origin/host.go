package origin

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Hosts are the names under which a browser may use what a node does for any client
// that reaches it (guests, figures, profiles). A page whose own name was made to
// point at the node (DNS rebinding) has the node's origin, and is told apart by
// that name in the Host header.
type Hosts struct {
	names map[string]bool // without a port
}

// NewHosts returns the names of a node: that of the address it listens on, those in
// the configured origins, and every name that only this machine or an address can
// have.
func NewHosts(listen string, origins []string) Hosts {
	h := Hosts{names: map[string]bool{}}
	if host, _, err := net.SplitHostPort(listen); err == nil && host != "" {
		h.names[strings.ToLower(host)] = true
	}
	for _, o := range origins {
		if u, err := url.Parse(o); err == nil && u.Host != "" {
			h.names[strings.ToLower(u.Hostname())] = true
		}
	}
	return h
}

// Knows reports whether the Host of the request is one of the names. An address
// always is: a browser that was given one talks to that address and no other.
func (h *Hosts) Knows(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || h.names[host]
}
