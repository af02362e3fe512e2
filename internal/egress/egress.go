// Package egress connects to addresses that others have chosen, such as the endpoints of
// Web Push and of webhooks, and refuses those inside: a client must not reach through the
// server what it cannot reach itself.
//
// The check is made on the address that is dialled, after names were resolved, for every
// connection: neither a name that resolves to something else the second time nor a
// redirect gets around it. A proxy would, so that a client of this package uses none.
package egress

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// ErrInside is in the chain of errors about addresses that are refused.
var ErrInside = errors.New("the address is not on the public internet")

// Guard decides which addresses may be dialled: public ones, and those in Allow.
type Guard struct {
	Allow []netip.Prefix
}

// inside are parts of what IANA calls global that are not, or that lead elsewhere: IPv4
// addresses inside IPv6 ones are refused, whatever they are. IPv6 outside of 2000::/3 is
// refused anyway.
var inside = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
	"192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
)

var global6 = netip.MustParsePrefix("2000::/3")

func prefixes(all ...string) (out []netip.Prefix) {
	for _, s := range all {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// Check returns an error with ErrInside if the address is refused.
func (g Guard) Check(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	contains := func(p netip.Prefix) bool { return p.Contains(addr) }
	switch {
	case !addr.IsValid():
		return ErrInside
	case slices.ContainsFunc(g.Allow, contains):
		return nil
	case addr.Is6() && !global6.Contains(addr), slices.ContainsFunc(inside, contains):
		return fmt.Errorf("%w: %s", ErrInside, addr)
	}
	return nil
}

// control is net.Dialer.Control: it sees each address that is about to be dialled.
func (g Guard) control(network, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || (network != "tcp4" && network != "tcp6") {
		return fmt.Errorf("%w: %s %s", ErrInside, network, address)
	}
	return g.Check(ap.Addr())
}

// Dialer dials what the guard allows.
func (g Guard) Dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second, Control: g.control}
}

// Transport returns a transport whose connections the guard has checked. It uses no proxy.
func (g Guard) Transport() *http.Transport {
	return &http.Transport{
		DialContext:            g.Dialer(5 * time.Second).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 32 << 10,
		ForceAttemptHTTP2:      true,
	}
}
