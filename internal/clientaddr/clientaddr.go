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

// Client returns who is asking: the peer of the TCP connection, or behind
// trusted proxies the last address in X-Forwarded-For that is not one of them.
func (ps Proxies) Client(r *http.Request) netip.Addr {
	addr := Peer(r)
	if !ps.trust(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		a, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			return addr
		}
		if addr = a.Unmap(); !ps.trust(addr) {
			return addr
		}
	}
	return addr
}

func (ps Proxies) trust(a netip.Addr) bool {
	return slices.ContainsFunc(ps, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Peer is the other end of the TCP connection.
func Peer(r *http.Request) netip.Addr {
	ap, _ := netip.ParseAddrPort(r.RemoteAddr)
	return ap.Addr().Unmap()
}

// Network is what one person has: an IPv4 address or a /64 of IPv6. Each
// loopback address counts by itself, as any other. It is the zero Prefix for an
// address that is none.
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
