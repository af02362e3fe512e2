package origin

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestOrigins(t *testing.T) {
	rules := New([]string{"capacitor://localhost", "chrome-extension://abcdef", "https://app.example.org", "http://localhost:3000", "https://Mixed.Example.com/", "nonsense", "*.example.net"}, nil)
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
		{"page of a hybrid app", "x", []string{"capacitor://localhost"}, true},
		{"page of an extension", "x", []string{"chrome-extension://abcdef"}, true},
		{"page of another extension", "x", []string{"chrome-extension://abcdee"}, false},
		{"other scheme than the app's", "x", []string{"ionic://localhost"}, false},
		{"app on a host like ours", "localhost", []string{"ionic://localhost"}, false},
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
	all := New([]string{"*"}, nil)
	if !all.Allow(&http.Request{Host: "x", Header: http.Header{"Origin": {"null"}}}) {
		t.Error("* does not allow all")
	}
}

func TestEntriesThatMatchNothingAreNamed(t *testing.T) {
	for entry, want := range map[string]string{
		"*": "", "https://www.example.org": "", "http://localhost:3000": "", "capacitor://localhost": "", "chrome-extension://abcdef": "",
		"https://*.example.org":    "patterns",
		"*.example.org":            "patterns",
		"null":                     "every page without one",
		"www.example.org":          "scheme and host",
		"https://www.example.org/": "scheme and host",
		"https://a@example.org":    "scheme and host",
		"file://":                  "scheme and host",
		"":                         "scheme and host",
	} {
		if got := Check(entry); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q", entry, got)
		}
	}
}

// A refused page is in the log, with what was seen and what helps, and cannot fill it.
func TestRefusalsAreLogged(t *testing.T) {
	for _, tt := range []struct{ origin, host, help string }{
		{"https://shop.example.org", "127.0.0.1:8080", "setting origins"},
		{"http://chat.example.org:8081", "chat.example.org", "$http_host"},
	} {
		var log bytes.Buffer
		rules := New(nil, slog.New(slog.NewTextHandler(&log, nil)))
		for range 100 {
			r := httptest.NewRequest("GET", "/ws", nil)
			r.Host = tt.host
			r.Header.Set("Origin", tt.origin)
			if rules.Allow(r) {
				t.Fatal("allowed")
			}
		}
		line := log.String()
		for _, part := range []string{"origin=" + tt.origin, "host=" + tt.host, "path=/ws", tt.help} {
			if !strings.Contains(line, part) {
				t.Errorf("no %s in %s", part, line)
			}
		}
		if n := strings.Count(line, "\n"); n != 1 {
			t.Errorf("%d lines for 100 refusals", n)
		}
	}
}

func TestHosts(t *testing.T) {
	hosts := NewHosts("chat.lan:8080", []string{"https://www.example.org", "*", "http://Dev.example.org:3000"})
	for host, want := range map[string]bool{
		"localhost": true, "localhost:8080": true, "LOCALHOST.:8080": true, "chat.localhost:8080": true,
		"127.0.0.1:8080": true, "127.0.0.1": true, "[::1]:8080": true, "[::1]": true, "192.0.2.7:8080": true,
		"chat.lan": true, "chat.lan:8080": true, "www.example.org": true, "dev.example.org:8080": true,
		"evil.example": false, "evil.example:8080": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false,
		"notlocalhost": false, "example.org": false, "": false, "*": false,
	} {
		if got := hosts.Knows(&http.Request{Host: host}); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}
