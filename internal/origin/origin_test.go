package origin

import (
	"net/http"
	"testing"
)

func TestOrigins(t *testing.T) {
	rules := New([]string{"https://app.example.org", "http://localhost:3000", "https://Mixed.Example.com/", "nonsense", "*.example.net"})
	for _, tt := range []struct {
		name   string
		host   string
		origin []string
		want   bool
	}{
		{"no browser", "chat.example.org", nil, true},
		{"same host", "chat.example.org", []string{"https://chat.example.org"}, true},
		{"same host in other letters", "Chat.Example.org", []string{"https://chat.example.ORG"}, true},
		{"same host, TLS taken off by a proxy", "chat.example.org", []string{"http://chat.example.org"}, true},
		{"same host and port", "127.0.0.1:8080", []string{"http://127.0.0.1:8080"}, true},
		{"same host, default port written out", "chat.example.org:443", []string{"https://chat.example.org"}, true},
		{"same host, IPv6", "[::1]:8080", []string{"http://[::1]:8080"}, true},
		{"other port", "chat.example.org", []string{"https://chat.example.org:8443"}, false},
		{"port of the other scheme", "chat.example.org", []string{"https://chat.example.org:80"}, false},
		{"sub-domain", "example.org", []string{"https://evil.example.org"}, false},
		{"parent domain", "chat.example.org", []string{"https://example.org"}, false},
		{"suffix", "example.org", []string{"https://evilexample.org"}, false},
		{"prefix", "example.org", []string{"https://example.org.evil.com"}, false},
		{"trailing dot", "example.org", []string{"https://example.org."}, false},
		{"user in front", "example.org", []string{"https://example.org@evil.com"}, false},
		{"user and same host", "example.org", []string{"https://evil.com@example.org"}, false},
		{"path", "example.org", []string{"https://example.org/"}, false},
		{"query", "example.org", []string{"https://example.org?x"}, false},
		{"fragment", "example.org", []string{"https://example.org#x"}, false},
		{"null", "example.org", []string{"null"}, false},
		{"empty", "example.org", []string{""}, false},
		{"no host", "", []string{"https://"}, false},
		{"other scheme", "example.org", []string{"ftp://example.org"}, false},
		{"file", "example.org", []string{"file://"}, false},
		{"extension", "example.org", []string{"chrome-extension://example.org"}, false},
		{"two origins", "example.org", []string{"https://example.org", "https://example.org"}, false},
		{"list in one", "example.org", []string{"https://example.org, https://evil.com"}, false},
		{"allowed", "x", []string{"https://app.example.org"}, true},
		{"allowed, default port", "x", []string{"https://app.example.org:443"}, true},
		{"allowed, other letters", "x", []string{"https://mixed.example.COM"}, true},
		{"allowed with its port", "x", []string{"http://localhost:3000"}, true},
		{"allowed, other scheme", "x", []string{"http://app.example.org"}, false},
		{"allowed, other port", "x", []string{"http://localhost:3001"}, false},
		{"sub-domain of an allowed one", "x", []string{"https://a.app.example.org"}, false},
		{"stars are no patterns", "x", []string{"https://a.example.net"}, false},
		{"malformed entry", "x", []string{"nonsense"}, false},
	} {
		r := &http.Request{Host: tt.host, Header: http.Header{}}
		if tt.origin != nil {
			r.Header["Origin"] = tt.origin
		}
		if got := rules.Allow(r); got != tt.want {
			t.Errorf("%s: %v at %s allowed: %v", tt.name, tt.origin, tt.host, got)
		}
	}
	all := New([]string{"*"})
	if !all.Allow(&http.Request{Host: "x", Header: http.Header{"Origin": {"null"}}}) {
		t.Error("* does not allow all")
	}
}
