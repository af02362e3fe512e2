// Package clientaddr derives the address of a client from an HTTP request, behind
// trusted proxies as well, and the network that limits per client count by.
package clientaddr

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the networks whose X-Forwarded-For is believed.
type Proxies []netip.Prefix

// Client returns the address of the client: the peer of the TCP connection, or behind
// trusted proxies the last address in X-Forwarded-For that is not one of them.
func (ps Proxies) Client(r *http.Request) netip.Addr {
	addr := Peer(r)
	if !ps.Trust(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		a, ok := parseHop(strings.TrimSpace(hop))
		if !ok {
			return addr
		}
		if addr = a.Unmap(); !ps.Trust(addr) {
			return addr
		}
	}
	return addr
}

// parseHop reads an entry of X-Forwarded-For: an address, which some proxies write in
// brackets, with a port, or with a zone.
func parseHop(s string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().WithZone(""), true
	}
	if len(s) > 1 && s[0] == '[' && s[len(s)-1] == ']' {
		s = s[1 : len(s)-1]
	}
	a, err := netip.ParseAddr(s)
	return a.WithZone(""), err == nil
}

// Trust reports whether the address is one of the proxies.
func (ps Proxies) Trust(a netip.Addr) bool {
	return slices.ContainsFunc(ps, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Network is the network that limits per client count by. It is the zero Prefix, which
// has no such limits, for an address behind which there may be any number of clients:
// that of a trusted proxy, and 127.0.0.1 and ::1, from which a proxy on this machine
// connects.
func (ps Proxies) Network(a netip.Addr) netip.Prefix {
	if a = a.Unmap(); ps.Trust(a) || a == localIPv4 || a == netip.IPv6Loopback() {
		return netip.Prefix{}
	}
	return Network(a)
}

var localIPv4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// ClientNetwork is the Network of the Client.
func (ps Proxies) ClientNetwork(r *http.Request) netip.Prefix { return ps.Network(ps.Client(r)) }

// Peer is the other end of the TCP connection.
func Peer(r *http.Request) netip.Addr {
	ap, _ := netip.ParseAddrPort(r.RemoteAddr)
	return ap.Addr().Unmap()
}

// Network is what one subscriber of an Internet provider has: an IPv4 address or a /64
// of IPv6. Each loopback address counts by itself, as any other. It is the zero Prefix
// for an address that is none.
func Network(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap()
	bits := 32
	if ip.Is6() {
		if bits = 64; ip.IsLoopback() {
			bits = 128
		}
	}
	p, _ := ip.Prefix(bits)
	return p
}

// Forwarded reports whether the request says that a proxy has forwarded it.
func Forwarded(h http.Header) bool {
	for name := range h {
		if name == "Forwarded" || name == "Via" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded-") {
			return true
		}
	}
	return false
}
