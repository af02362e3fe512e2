package httpapi

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/internal/connlimit"
)

func (s *streams) now() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// A stream ends by itself after its life, and tells the client to come back at once: a
// client that the node cannot see to be gone would be online for ever.
func TestEventsEndOfAge(t *testing.T) {
	n := newNode(t, nil)
	n.api.life = time.Millisecond
	g := n.want(200, "GET", "/v1/rooms/r/events", nil, n.token("ann"))
	if h := g.header.Get("Cache-Control"); h != "no-store, no-transform" {
		t.Errorf("Cache-Control: %q", h)
	}
	if all := string(g.raw); !strings.HasSuffix(all, "\n\nretry: 50\n\n") || strings.Contains(all, "goodbye") {
		t.Errorf("%q", all)
	}
}

// Event streams take places among the connections of all transports, and a user has a
// bound of its own; an API key has none.
func TestEventsTakePlaces(t *testing.T) {
	conns := connlimit.New(maxUserStreams+2, maxUserStreams+1)
	ip := netip.MustParseAddr("192.0.2.1")
	n := newNode(t, func(c *Config) { c.Conns, c.ClientIP = conns, func(*http.Request) netip.Addr { return ip } })
	const path = "/v1/rooms/r/events"
	var open []*ear
	for range maxUserStreams {
		open = append(open, n.listen(path, n.token("ann")))
	}
	if g := n.want(429, "GET", path, nil, n.token("ann")); g.code() != "rate_limited" || g.header.Get("Retry-After") != "5" {
		t.Errorf("%s %v", g.raw, g.header)
	}
	n.listen(path, n.token("bob"))
	if g := n.want(429, "GET", path, nil, n.token("cyd")); g.code() != "rate_limited" {
		t.Errorf("%s", g.raw)
	}
	ip = netip.MustParseAddr("192.0.2.2")
	n.listen(path, n.key(identity.ScopeRead))
	if g := n.want(503, "GET", path, nil, n.token("cyd")); g.code() != "busy" {
		t.Errorf("%s", g.raw)
	}
	if conns.InUse() != maxUserStreams+2 || n.api.streams.now() != maxUserStreams+2 {
		t.Errorf("%d places, %d streams", conns.InUse(), n.api.streams.now())
	}
	for _, e := range open {
		e.stop()
	}
	for start := time.Now(); conns.InUse() != 2; {
		if time.Since(start) > 10*time.Second {
			t.Fatalf("%d places are not given back", conns.InUse()-2)
		}
		n.do("GET", "/healthz", nil)
	}
	n.api.streams.mu.Lock()
	defer n.api.streams.mu.Unlock()
	if len(n.api.streams.users) != 1 {
		t.Errorf("users %v", n.api.streams.users)
	}
}

// A token ends the stream when it runs out.
func TestEventsExpire(t *testing.T) {
	n := newNode(t, nil)
	exp := time.Now().Add(-29 * time.Second).Unix() // within the clock skew for a second at most
	short, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "cyd", "exp": exp}).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	n.later.Store(-int64(time.Hour)) // the verifier's clock is behind, and accepts the token however late it comes
	e := n.listen("/v1/rooms/r/events", short)
	n.later.Store(0)
	e.next("")
	if f := e.next("goodbye"); f.num("code") != chat.ByeExpired.Code || f.data["retry"] != "never" {
		t.Errorf("%+v", f)
	}
	e.end()
	n.want(401, "GET", "/v1/rooms", nil, short)
}

// The stream of a room that is deleted says so, and ends.
func TestEventsOfADeletedRoom(t *testing.T) {
	n := newNode(t, nil)
	n.api.heartbeat = 10 * time.Millisecond
	admin := n.key(identity.ScopeAll)
	n.want(201, "PUT", "/v1/rooms/r", `{"open":true}`, admin)
	e := n.listen("/v1/rooms/r/events", n.token("ann"))
	e.next("")
	n.want(204, "DELETE", "/v1/rooms/r", nil, admin)
	if f := e.next("room"); f.data["deleted"] != true {
		t.Errorf("%+v", f)
	}
	if f := e.next("goodbye"); f.num("code") != chat.ByeForbidden.Code {
		t.Errorf("%+v", f)
	}
	e.end()
}

// A stream of a user whose membership ends while it begins ends, does not begin the
// membership again, and leaves no user online behind.
func TestEventsPutOutWhileTheyBegin(t *testing.T) {
	n := newNode(t, nil)
	n.api.heartbeat = 10 * time.Millisecond
	admin := n.key(identity.ScopeAll)
	n.want(201, "PUT", "/v1/rooms/r", `{"open":true}`, admin)
	n.want(204, "PUT", "/v1/rooms/r/members/ann", `{"role":"member"}`, admin)
	out := func() { n.want(204, "DELETE", "/v1/rooms/r/members/ann", nil, admin) }
	n.online.next.Store(&out)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", n.url+"/v1/rooms/r/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header(n.token("ann"))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); ctx.Err() != nil {
		t.Fatal("the stream goes on", err)
	}
	if g := n.want(200, "GET", "/v1/rooms/r/members", nil, admin); len(g.body["members"].([]any)) != 0 {
		t.Errorf("%s", g.raw)
	}
	for start := time.Now(); n.want(200, "GET", "/v1/rooms/r/online", nil, admin).num("count") != 0; runtime.Gosched() {
		if time.Since(start) > 10*time.Second {
			t.Fatal("the user is online still")
		}
	}
}

func TestEventsRefused(t *testing.T) {
	n := newNode(t, func(c *Config) { c.MaxStreams = 1 })
	admin := n.key(identity.ScopeAll)
	n.want(201, "PUT", "/v1/rooms/closed", `{"open":false}`, admin)
	for _, tt := range []struct {
		path, line string
		status     int
	}{
		{"/v1/rooms/closed/events", "as ann", 403},
		{"/v1/rooms/r/events?after=x", "as ann", 400},
		{"/v1/rooms/r/events", "Last-Event-ID: -1", 401},
		{"/v1/rooms/nothing/events", admin, 404},
		{"/v1/rooms/a%00b/events", "as ann", 400},
	} {
		if g := n.do("GET", tt.path, nil, tt.line); g.status != tt.status {
			t.Errorf("%s: %d %s, want %d", tt.path, g.status, g.raw, tt.status)
		}
	}
	if g := n.do("HEAD", "/v1/rooms/r/events", nil, "as ann"); g.status != 400 {
		t.Errorf("HEAD: %d", g.status)
	}
	e := n.listen("/v1/rooms/r/events", n.token("bob"))
	e.next("")
	if g := n.want(503, "GET", "/v1/rooms/r/events", nil, "as ann"); g.code() != "busy" || g.header.Get("Retry-After") != "5" {
		t.Errorf("%s %v", g.raw, g.header)
	}
	e.stop()
	for start := time.Now(); n.do("GET", "/v1/rooms/closed/events?after=x", nil, "as ann").status != 400 || n.api.streams.now() != 0; {
		if time.Since(start) > 10*time.Second {
			t.Fatal("the stream of a client that went away does not end")
		}
	}
	granted := n.listen("/v1/rooms/closed/events", n.token("ann", "closed"))
	granted.next("")
}
