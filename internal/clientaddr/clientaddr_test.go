package clientaddr

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestClient(t *testing.T) {
	ps := Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32")}
	for _, c := range []struct {
		peer      string
		forwarded []string
		want      string
	}{
		{"192.0.2.1:5", nil, "192.0.2.1"},
		{"192.0.2.1:5", []string{"203.0.113.9"}, "192.0.2.1"}, // not a proxy: it can say what it likes
		{"10.1.1.1:5", nil, "10.1.1.1"},
		{"10.1.1.1:5", []string{"203.0.113.9"}, "203.0.113.9"},
		{"10.1.1.1:5", []string{"198.51.100.7, 203.0.113.9"}, "203.0.113.9"}, // the first is hearsay
		{"10.1.1.1:5", []string{"203.0.113.9, 10.2.2.2"}, "203.0.113.9"},
		{"10.1.1.1:5", []string{"203.0.113.9", "10.2.2.2"}, "203.0.113.9"},
		{"[::ffff:10.1.1.1]:5", []string{"203.0.113.9"}, "203.0.113.9"},
		{"10.1.1.1:5", []string{"203.0.113.9, nonsense"}, "10.1.1.1"},
		{"127.0.0.1:5", []string{"2001:db8::1"}, "2001:db8::1"},
		// Proxies that write a port, brackets, or both, and a zone.
		{"10.1.1.1:5", []string{"203.0.113.9:61598"}, "203.0.113.9"},
		{"10.1.1.1:5", []string{"203.0.113.9:61598, 10.2.2.2:80"}, "203.0.113.9"},
		{"10.1.1.1:5", []string{"[2001:db8::1]:61598"}, "2001:db8::1"},
		{"10.1.1.1:5", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"10.1.1.1:5", []string{"fe80::1%eth0"}, "fe80::1"},
		{"10.1.1.1:5", []string{"[::ffff:203.0.113.9]:1"}, "203.0.113.9"},
		{"10.1.1.1:5", []string{"203.0.113.9:x"}, "10.1.1.1"},
		{"10.1.1.1:5", []string{"203.0.113.9:1:2"}, "10.1.1.1"},
		{"10.1.1.1:5", []string{"["}, "10.1.1.1"},
		{"10.1.1.1:5", []string{"[]"}, "10.1.1.1"},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.forwarded}}
		if got := ps.Client(r); got.String() != c.want {
			t.Errorf("%s forwarding %q: %s, want %s", c.peer, c.forwarded, got, c.want)
		}
	}
}

func TestNetwork(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "::ffff:192.0.2.1": "192.0.2.1/32", "2001:db8::1": "2001:db8::/64",
		"127.0.0.5": "127.0.0.5/32", "::1": "::1/128",
	} {
		if got := Network(netip.MustParseAddr(in)); got.String() != want {
			t.Errorf("%s is of %s, want %s", in, got, want)
		}
	}
	if Network(netip.Addr{}).IsValid() {
		t.Error("no address has a network")
	}
}

// An address behind which there may be any number of clients has no network to count by.
func TestNetworkOfProxies(t *testing.T) {
	ps := Proxies{netip.MustParsePrefix("10.0.0.0/8")}
	for in, want := range map[string]string{
		"10.1.1.1": "invalid Prefix", "::ffff:10.1.1.1": "invalid Prefix", "127.0.0.1": "invalid Prefix", "::1": "invalid Prefix",
		"::ffff:127.0.0.1": "invalid Prefix", "127.0.0.2": "127.0.0.2/32", "192.0.2.1": "192.0.2.1/32", "2001:db8::1": "2001:db8::/64",
	} {
		if got := ps.Network(netip.MustParseAddr(in)); got.String() != want {
			t.Errorf("%s is of %s, want %s", in, got, want)
		}
	}
	r := &http.Request{RemoteAddr: "10.1.1.1:5", Header: http.Header{"X-Forwarded-For": {"203.0.113.9"}}}
	if got := ps.ClientNetwork(r); got.String() != "203.0.113.9/32" {
		t.Errorf("the client behind a proxy is of %s", got)
	}
}

func TestForwarded(t *testing.T) {
	for name, want := range map[string]bool{"X-Forwarded-Proto": true, "X-Forwarded-For": true, "X-Real-Ip": true, "Forwarded": true, "Via": true, "X-Other": false, "Host": false} {
		if Forwarded(http.Header{name: {"x"}}) != want {
			t.Errorf("%s: want %t", name, want)
		}
	}
}
