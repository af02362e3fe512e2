package egress

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		public bool
		addrs  string
	}{
		{true, "1.1.1.1 8.8.8.8 172.15.0.1 172.32.0.1 100.128.0.1 192.169.0.1 2606:4700::1111 2a00:1450:4001::1 ::ffff:1.1.1.1"},
		{false, "127.0.0.1 127.9.9.9 10.1.2.3 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 0.1.2.3"},
		{false, "255.255.255.255 224.0.0.1 240.0.0.1 192.0.2.1 198.18.0.1 203.0.113.9"},
		{false, ":: ::1 fe80::1 fe80::1%eth0 fc00::1 fd00:ec2::254 ff02::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::127.0.0.1"},
		{false, "64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 2002:7f00:1::1 2001::1 2001:db8::1 fec0::1 100::1"},
	} {
		for _, s := range strings.Fields(c.addrs) {
			err := Guard{}.Check(netip.MustParseAddr(s))
			if (err == nil) != c.public || (err != nil && !errors.Is(err, ErrInside)) {
				t.Errorf("%s: %v", s, err)
			}
		}
	}
	if err := (Guard{}).Check(netip.Addr{}); !errors.Is(err, ErrInside) {
		t.Error(err)
	}
	g := Guard{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	if err := g.Check(netip.MustParseAddr("::ffff:10.1.2.3")); err != nil {
		t.Error(err)
	}
	if err := g.Check(netip.MustParseAddr("10.2.0.1")); err == nil {
		t.Error("not in the prefix, and allowed")
	}
}

// The address that is dialled counts, also that of a name and behind a redirect.
func TestTransportChecksWhatItDials(t *testing.T) {
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
	defer inner.Close()
	inside := strings.Replace(inner.URL, "127.0.0.1", "localhost", 1)
	outer := httptest.NewUnstartedServer(http.RedirectHandler(inside, http.StatusTemporaryRedirect))
	outer.Start()
	defer outer.Close()

	client := &http.Client{Transport: Guard{}.Transport(), Timeout: 10 * time.Second}
	for _, url := range []string{inner.URL, inside} {
		if resp, err := client.Get(url); !errors.Is(err, ErrInside) {
			t.Errorf("%s: %v, %v", url, resp, err)
		}
	}
	// The first hop is reached through an address of its own; the second is not.
	hop := &http.Client{Timeout: 10 * time.Second, Transport: redirected{outer: http.DefaultTransport, guarded: Guard{}.Transport(), first: outer.URL}}
	if resp, err := hop.Get(outer.URL); !errors.Is(err, ErrInside) {
		t.Errorf("%v, %v", resp, err)
	}
}

// redirected reaches one URL without the guard.
type redirected struct {
	outer, guarded http.RoundTripper
	first          string
}

func (r redirected) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.String() == r.first {
		return r.outer.RoundTrip(req)
	}
	return r.guarded.RoundTrip(req)
}

// What a URL can have in the place of a host is refused as well, where it means this machine.
func TestOtherSpellings(t *testing.T) {
	tr := Guard{}.Transport()
	defer tr.CloseIdleConnections()
	for _, host := range []string{"127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "0.0.0.0", "[::]"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+":9/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tr.RoundTrip(req); !errors.Is(err, ErrInside) {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1})
	f.Add(netip.MustParseAddr("64:ff9b::1").AsSlice())
	f.Fuzz(func(t *testing.T, b []byte) {
		addr, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		plain := addr.Unmap()
		public := plain.IsGlobalUnicast() && !plain.IsPrivate()
		if (Guard{}).Check(addr) == nil && !public {
			t.Fatalf("%s is allowed", addr)
		}
	})
}
