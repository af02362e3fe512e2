package server

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/internal/clientaddr"
	"github.com/roomtide/roomtide/internal/limit"
)

// named is a handler that says its name.
func named(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) })
}

func ask(h http.Handler, method, target string, lines ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		if name == "Host" {
			r.Host = value
		} else {
			r.Header.Add(name, value)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const upgrade = "Upgrade: WebSocket"

// Every address goes to the one that can answer it, also with slashes too many.
func TestSplit(t *testing.T) {
	h := split(named("ws"), named("sio"), named("api"), named("page"))
	for _, tt := range []struct{ path, plain, upgrade string }{
		{"/", "page", "ws"}, {"/ws", "ws", "ws"}, {"/static/app.js", "page", "no"}, {"/nothing", "page", "no"}, {"/ws/", "page", "no"},
		{"/socket.io/", "sio", "sio"}, {"/socket.io", "sio", "sio"}, {"/socket.iox", "page", "no"},
		{"/v1/rooms", "api", "api"}, {"/v1", "api", "api"}, {"/v1/", "api", "api"}, {"//v1/rooms", "api", "api"}, {"/v12", "page", "no"},
		{"/healthz", "api", "api"}, {"/healthz/", "api", "api"}, {"//readyz", "api", "api"}, {"/metrics", "api", "api"}, {"/openapi.json", "api", "api"},
	} {
		if w := ask(h, "GET", "http://x"+tt.path); w.Body.String() != tt.plain {
			t.Errorf("%s goes to %s", tt.path, w.Body)
		}
		w := ask(h, "GET", "http://x"+tt.path, upgrade)
		if tt.upgrade == "no" {
			if w.Code != 404 || !strings.Contains(w.Body.String(), "connect to /ws") {
				t.Errorf("upgrade at %s: %d %s", tt.path, w.Code, w.Body)
			}
		} else if w.Body.String() != tt.upgrade {
			t.Errorf("upgrade at %s goes to %s", tt.path, w.Body)
		}
	}
	if w := ask(h, "OPTIONS", "/"); w.Code != 204 || w.Header().Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// What begins a connection that lasts waits for its turn, and nothing else does.
func TestHandshakesArePaced(t *testing.T) {
	pace := limit.NewPace[netip.Prefix](limit.PaceConfig{Name: "handshakes", PerSecond: .001, MaxWaiting: -1})
	h := paced(pace, clientaddr.Proxies(nil).ClientNetwork, named("served"))
	if w := ask(h, "GET", "/ws", upgrade); w.Code != 200 {
		t.Errorf("the first: %d", w.Code)
	}
	for path, waits := range map[string]bool{
		"/ws": true, "/": false, "/socket.io/?EIO=4&transport=polling": true, "/socket.io/?EIO=4&transport=polling&sid=x": false,
		"/v1/rooms/r/events": true, "/v1/rooms/r/messages": false, "/healthz": false, "/static/app.js": false,
	} {
		w := ask(h, "GET", path)
		if busy := w.Code == 503; busy != waits || busy && w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
	if w := ask(h, "GET", "/", upgrade); w.Code != 503 {
		t.Errorf("a WebSocket at the root: %d", w.Code)
	}
	for _, method := range []string{"POST", "OPTIONS"} {
		if w := ask(h, method, "/socket.io/?EIO=4&transport=polling"); w.Code != 200 {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
}

func TestStrictTransportSecurity(t *testing.T) {
	if got := ask(strict(time.Hour, named("")), "GET", "/").Header().Get("Strict-Transport-Security"); got != "max-age=3600" {
		t.Error(got)
	}
	if got := ask(strict(0, named("")), "GET", "/").Header().Get("Strict-Transport-Security"); got != "" {
		t.Error(got)
	}
}

// A proxy that is not trusted is told in the log, once.
func TestWarnsOfUntrustedProxy(t *testing.T) {
	for _, tt := range []struct {
		peer, listen, line string
		warns              bool
	}{
		{"127.0.0.1:1", "127.0.0.1:8080", "Host: 127.0.0.1:8080", false},
		{"127.0.0.1:1", "127.0.0.1:8080", "Host: localhost:8080", false},
		{"127.0.0.1:1", "127.0.0.1:8080", "Host: a.localhost", false},
		{"[::1]:1", "[::1]:8080", "Host: [::1]:8080", false},
		{"127.0.0.1:1", "127.0.0.1:8080", "Host: chat.example.org", true},
		{"127.0.0.1:1", "127.0.0.1:8080", "X-Forwarded-For: 192.0.2.1", true},
		{"192.0.2.1:1", ":8080", "Host: chat.example.org", false},
		{"192.0.2.1:1", ":8080", "Forwarded: for=192.0.2.9", true},
	} {
		var out bytes.Buffer
		cfg := config.Default()
		cfg.Listen = tt.listen
		h := warnOfProxies(slog.New(slog.NewTextHandler(&out, nil)), nil, cfg, named(""))
		name, value, _ := strings.Cut(tt.line, ": ")
		for range 3 {
			r := httptest.NewRequest("GET", "http://127.0.0.1/", nil)
			r.RemoteAddr = tt.peer
			if name == "Host" {
				r.Host = value
			} else {
				r.Header.Set(name, value)
			}
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
		if n := strings.Count(out.String(), "trusted_proxies is empty"); (n == 1) != tt.warns || n > 1 {
			t.Errorf("%s with %q: %d lines\n%s", tt.peer, tt.line, n, out.String())
		}
		out.Reset()
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-Forwarded-For", "192.0.2.1")
		warnOfProxies(slog.New(slog.NewTextHandler(&out, nil)), clientaddr.Proxies{netip.MustParsePrefix("10.0.0.0/8")}, cfg, named("")).ServeHTTP(httptest.NewRecorder(), r)
		if out.Len() > 0 {
			t.Errorf("with a trusted proxy: %s", out.String())
		}
	}
}

// The metrics have a listener of their own, with nothing else on it.
func TestMetricsListener(t *testing.T) {
	cfg := settings(t)
	cfg.MetricsListen = "127.0.0.1:0"
	s := open(t, cfg)
	get := func(url string) (int, string) {
		t.Helper()
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	status, text := get("http://" + s.metrics + "/metrics")
	for _, name := range []string{"roomtide_handshakes_waiting", "roomtide_accept_connections", "roomtide_unauthenticated_connections", "go_goroutines"} {
		if status != 200 || !strings.Contains(text, name) {
			t.Errorf("%d, no %s", status, name)
		}
	}
	if status, _ := get("http://" + s.metrics + "/v1/rooms"); status != 404 {
		t.Errorf("other addresses: %d", status)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	if status, text := get(s.URL() + "metrics"); status != 401 || strings.Contains(text, "roomtide_h") {
		t.Errorf("on the node's own address: %d", status)
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// More connections than descriptors are told at the start.
func TestWarnsOfDescriptors(t *testing.T) {
	for max, want := range map[int]bool{1_000_000_000: true, 10: false} {
		var out bytes.Buffer
		cfg := settings(t)
		cfg.MaxConnections = max
		s, err := Open(t.Context(), cfg, "v1", slog.New(slog.NewTextHandler(&out, nil)))
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		if got := strings.Contains(out.String(), "max_connections is more than this process may have files open"); got != want && maxFiles() > 0 {
			t.Errorf("max_connections %d: %s", max, out.String())
		}
	}
}
