package httpapi

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/internal/limit"
)

func TestErrors(t *testing.T) {
	n := newNode(t, nil)
	admin := n.key(identity.ScopeAll)
	n.want(201, "PUT", "/v1/rooms/mine", `{"open":false}`, "as ann")
	n.want(201, "POST", "/v1/rooms/mine/messages", `{"message":"a"}`, "as ann", "Idempotency-Key: k")
	n.want(201, "PUT", "/v1/rooms/open", `{"open":true}`, "as ann")
	n.want(204, "PUT", "/v1/rooms/open/members/eve", `{"role":"banned"}`, "as ann")
	long := strings.Repeat("x", 129)

	for _, tt := range []struct {
		method, path string
		body         any
		as           []string
		status       int
		code         string
	}{
		{"GET", "/v1/rooms", nil, nil, 401, "unauthenticated"},
		{"GET", "/v1/rooms?token=" + n.token("tom") + "&user=ann", nil, nil, 401, "unauthenticated"},
		{"GET", "/v1/rooms", nil, []string{"Authorization: Basic YTpi"}, 401, "unauthenticated"},
		{"GET", "/v1/rooms", nil, []string{"as a%00b"}, 400, "invalid"},
		{"GET", "/v1/rooms", nil, []string{"as a%zz"}, 400, "invalid"},
		{"GET", "/v1/rooms", nil, []string{"as " + long}, 413, "too_large"},
		{"GET", "/v1/rooms", nil, []string{n.token("tom"), "as bob"}, 403, "forbidden"},
		{"GET", "/v1/rooms", nil, []string{"Authorization: Bearer " + n.token("tom"), "Authorization: Bearer x"}, 401, "unauthenticated"},
		{"GET", "/v1/rooms?order=size", nil, []string{admin}, 400, "invalid"},
		{"GET", "/v1/rooms?open=1", nil, []string{admin}, 400, "invalid"},
		{"GET", "/v1/rooms?order=activity&after=x", nil, []string{"as ann"}, 400, "invalid"},
		{"GET", "/v1/users/ann/unread", nil, []string{"as bob"}, 403, "forbidden"},
		{"DELETE", "/v1/users/ann/messages", nil, []string{"as ann"}, 403, "forbidden"},
		{"DELETE", "/v1/users/ann/messages?after=x", nil, []string{admin}, 400, "invalid"},
		{"DELETE", "/v1/users/ann/messages?after=99+1+r", nil, []string{admin}, 400, "invalid"},
		{"DELETE", "/v1/rooms/mine", nil, []string{"as bob"}, 403, "not_member"},
		{"DELETE", "/v1/rooms/none", nil, []string{admin}, 404, "not_found"},
		{"GET", "/v1/rooms/mine/messages?around=x", nil, []string{"as ann"}, 400, "invalid"},
		{"GET", "/v1/rooms/mine/messages?around=1&before=2", nil, []string{"as ann"}, 400, "invalid"},
		{"GET", "/v1/rooms/mine", nil, []string{"as bob"}, 403, "not_member"},
		{"GET", "/v1/rooms/none", nil, []string{"as bob"}, 403, "not_member"},
		{"GET", "/v1/rooms/none", nil, []string{admin}, 404, "not_found"},
		{"GET", "/v1/rooms/" + long, nil, []string{"as bob"}, 413, "too_large"},
		{"PUT", "/v1/rooms/mine", `{"title":"x"}`, []string{"as bob"}, 403, "not_member"},
		{"PUT", "/v1/rooms/mine", `{"title":5}`, []string{"as ann"}, 400, "invalid"},
		{"PUT", "/v1/rooms/mine", `{"open":"yes"}`, []string{"as ann"}, 400, "invalid"},
		{"PUT", "/v1/rooms/mine", `{"title":"` + long + long + `"}`, []string{"as ann"}, 413, "too_large"},
		{"GET", "/v1/rooms/mine/messages", nil, []string{"as bob"}, 403, "not_member"},
		{"GET", "/v1/rooms/mine/messages?before=x", nil, []string{"as ann"}, 400, "invalid"},
		{"GET", "/v1/rooms/mine/messages?before=2&after=1", nil, []string{"as ann"}, 400, "invalid"},
		{"GET", "/v1/rooms/mine/messages?limit=-1", nil, []string{"as ann"}, 400, "invalid"},
		{"GET", "/v1/rooms/mine/changes?after=x", nil, []string{"as ann"}, 400, "invalid"},
		{"POST", "/v1/rooms/mine/messages", `{"message":"b"}`, []string{"as bob"}, 403, "forbidden"},
		{"POST", "/v1/rooms/open/messages", `{"message":"b"}`, []string{"as eve"}, 403, "forbidden"},
		{"POST", "/v1/rooms/mine/messages", `{"message":"b"}`, []string{"as ann", "Idempotency-Key: k"}, 409, "conflict"},
		{"POST", "/v1/rooms/mine/messages", `{"message":"b"}`, []string{"as ann", "Idempotency-Key: a", "Idempotency-Key: b"}, 400, "invalid"},
		{"POST", "/v1/rooms/mine/messages", `{"message":"b"}`, []string{"as ann", "Idempotency-Key: " + long}, 413, "too_large"},
		{"POST", "/v1/rooms/mine/messages", `{"message":"b","user":"bob"}`, []string{n.token("tom")}, 403, "forbidden"},
		{"POST", "/v1/rooms/mine/messages", `{"message":"b","user":"bob"}`, []string{"as ann"}, 403, "forbidden"},
		{"POST", "/v1/rooms/mine/messages", `{"message":"b","user":"b\u0000"}`, []string{admin}, 400, "invalid"},
		{"POST", "/v1/rooms/mine/messages", `{"message":"b"}`, []string{admin}, 400, "invalid"},
		{"POST", "/v1/rooms/none/messages", `{"message":"b"}`, []string{admin, "as tom"}, 404, "not_found"},
		{"POST", "/v1/rooms/mine/messages", `{}`, []string{"as ann"}, 400, "invalid"},
		{"POST", "/v1/rooms/mine/messages", `{"message":{"$gt":""}}`, []string{"as ann"}, 400, "invalid"},
		{"POST", "/v1/rooms/mine/messages", `{"message":"b","reply_to":"one"}`, []string{"as ann"}, 400, "invalid"},
		{"POST", "/v1/rooms/mine/messages", `{"message":"b","reply_to":1e99}`, []string{"as ann"}, 400, "invalid"},
		{"POST", "/v1/rooms/mine/messages", `{"message":"` + strings.Repeat("x", 4001) + `"}`, []string{"as ann"}, 413, "too_large"},
		{"PATCH", "/v1/rooms/mine/messages/1", `{"message":"b"}`, []string{"as bob"}, 403, "not_member"},
		{"PATCH", "/v1/rooms/mine/messages/1", `{"data":1}`, []string{"as ann"}, 400, "invalid"},
		{"PATCH", "/v1/rooms/mine/messages/9", `{"message":"b"}`, []string{"as ann"}, 404, "not_found"},
		{"PATCH", "/v1/rooms/mine/messages/99999999999999999999", `{"message":"b"}`, []string{"as ann"}, 400, "invalid"},
		{"DELETE", "/v1/rooms/mine/messages/x", nil, []string{"as ann"}, 400, "invalid"},
		{"DELETE", "/v1/rooms/mine/messages/1", nil, []string{"as bob"}, 403, "not_member"},
		{"PUT", "/v1/rooms/mine/messages/1/reactions/" + long, nil, []string{"as ann"}, 413, "too_large"},
		{"PUT", "/v1/rooms/mine/messages/1/reactions/%F0%9F%91%8D", nil, []string{"as bob"}, 403, "not_member"},
		{"PUT", "/v1/rooms/mine/messages/1/reactions/%F0%9F%91%8D", nil, []string{admin}, 400, "invalid"},
		{"PUT", "/v1/rooms/mine/messages/1/reactions/lol", nil, []string{"as ann"}, 400, "invalid"},
		{"PUT", "/v1/rooms/none/messages/1/reactions/%F0%9F%91%8D", nil, []string{"as bob"}, 403, "not_member"},
		{"PUT", "/v1/rooms/mine/messages/9/reactions/%F0%9F%91%8D", nil, []string{"as bob"}, 403, "not_member"},
		{"DELETE", "/v1/rooms/mine/messages/9", nil, []string{"as bob"}, 403, "not_member"},
		{"PATCH", "/v1/rooms/mine/messages/9", `{"message":"b"}`, []string{"as bob"}, 403, "not_member"},
		{"PUT", "/v1/rooms/mine/read", `{}`, []string{"as ann"}, 400, "invalid"},
		{"PUT", "/v1/rooms/mine/read", `{"seq":1}`, []string{"as bob"}, 403, "not_member"},
		{"POST", "/v1/rooms/mine/typing", `{"on":1}`, []string{"as ann"}, 400, "invalid"},
		{"POST", "/v1/rooms/mine/typing", `{}`, []string{"as bob"}, 403, "not_member"},
		{"GET", "/v1/rooms/mine/online", nil, []string{"as bob"}, 403, "not_member"},
		{"GET", "/v1/rooms/mine/members", nil, []string{"as bob"}, 403, "not_member"},
		{"PUT", "/v1/rooms/mine/members/bob", `{}`, []string{"as bob"}, 403, "forbidden"},
		{"PUT", "/v1/rooms/mine/members/bob", `{}`, []string{"as ann"}, 400, "invalid"},
		{"PUT", "/v1/rooms/mine/members/bob", `{"role":"king"}`, []string{"as ann"}, 400, "invalid"},
		{"PUT", "/v1/rooms/mine/members/bob", `{"role":"member","unban":true}`, []string{"as ann"}, 400, "invalid"},
		{"PUT", "/v1/rooms/mine/members/bob", `{"role":"member","name":"Bob"}`, []string{"as ann"}, 403, "forbidden"},
		{"PUT", "/v1/rooms/mine/members/ann", `{"name":"Queen"}`, []string{"as ann"}, 403, "forbidden"},
		{"PUT", "/v1/rooms/mine/members/%20bob", `{"role":"member"}`, []string{"as ann"}, 400, "invalid"},
		{"PUT", "/v1/rooms/mine/members/bob", `{"role":"member"}`, []string{"as bob"}, 403, "not_member"},
		{"PUT", "/v1/rooms/mine/members/bob", `{"name":"` + long + long + `"}`, []string{admin}, 413, "too_large"},
		{"DELETE", "/v1/rooms/mine/members/ann", nil, []string{"as bob"}, 403, "not_member"},
		{"DELETE", "/v1/rooms/none/members/ann", nil, []string{admin}, 404, "not_found"},
		{"DELETE", "/v1/users/ann/connections", nil, []string{"as ann"}, 403, "forbidden"},
		{"DELETE", "/v1/users/ann/connections", nil, []string{n.token("tom")}, 403, "forbidden"},
		{"GET", "/v1", nil, []string{"as ann"}, 404, "not_found"},
		{"GET", "/v1/rooms/a/b", nil, []string{"as ann"}, 404, "not_found"},
		{"GET", "/healthz/x", nil, nil, 404, "not_found"},
		{"PATCH", "/v1/rooms/mine", nil, []string{"as ann"}, 405, "unknown_type"},
		{"POST", "/metrics", `{}`, nil, 405, "unknown_type"},
	} {
		g := n.do(tt.method, tt.path, tt.body, tt.as...)
		if g.status != tt.status || g.code() != tt.code {
			t.Errorf("%s %s %v as %v: %d %s, want %d %s", tt.method, tt.path, tt.body, tt.as, g.status, g.raw, tt.status, tt.code)
		}
		if g.status == 405 && g.header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", tt.method, tt.path)
		}
		if g.num("status") != tt.status || g.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: %s %v", tt.method, tt.path, g.raw, g.header)
		}
	}
}

// Every kind of error has a status, and Retry-After where trying again helps.
func TestEveryKindHasAStatus(t *testing.T) {
	n := newNode(t, func(c *Config) { c.Ready = func() ([]string, error) { return nil, errors.New("a secret cause") } })
	for k := chat.Internal; k <= chat.Fenced; k++ {
		w := httptest.NewRecorder()
		n.api.fail(w, httptest.NewRequest("GET", "/", nil), &chat.Error{Kind: k, RetryAfter: 1500})
		if got := w.Header().Get("Retry-After"); statuses[k] == 0 || w.Code != statuses[k] || (got == "2") != k.Retryable() {
			t.Errorf("%s: %d, Retry-After %q", k.Code(), w.Code, got)
		}
	}
	if g := n.want(503, "GET", "/readyz", nil); g.header.Get("Retry-After") != "1" || strings.Contains(string(g.raw), "secret") {
		t.Errorf("%s %v", g.raw, g.header)
	}
	if !strings.Contains(n.log.String(), "a secret cause") {
		t.Error("the cause is not in the log")
	}
}

// A node with a shard that is down is ready and says so; which shard it is is for those
// who may read the metrics.
func TestDegraded(t *testing.T) {
	var down []string
	for _, public := range []bool{false, true} {
		n := newNode(t, func(c *Config) {
			c.Ready, c.PublicMetrics = func() ([]string, error) { return down, nil }, public
		})
		key := n.key(identity.ScopeMetrics)
		down = nil
		if g := n.want(200, "GET", "/readyz", nil, key); string(g.raw) != `{"status":"ready"}` {
			t.Errorf("%s", g.raw)
		}
		down = []string{"db1/chat", "db2/chat"}
		all := `{"status":"degraded","degraded":["db1/chat","db2/chat"]}`
		if g := n.want(200, "GET", "/readyz", nil, key); string(g.raw) != all {
			t.Errorf("%s", g.raw)
		}
		want := `{"status":"degraded"}`
		if public {
			want = all
		}
		if g := n.want(200, "GET", "/readyz", nil); string(g.raw) != want {
			t.Errorf("without a key: %s", g.raw)
		}
		if g := n.want(200, "GET", "/healthz", nil); string(g.raw) != `{"status":"ok"}` {
			t.Errorf("healthz: %s", g.raw)
		}
	}
}

func TestIdempotency(t *testing.T) {
	n := newNode(t, nil)
	const path = "/v1/rooms/r/messages"
	first := n.want(201, "POST", path, `{"message":"a"}`, "as ann", "Idempotency-Key: k")
	for range 3 {
		if g := n.want(200, "POST", path, ` {"message" : "\u0061"}`, "as ann", "Idempotency-Key: k"); string(g.raw) != string(first.raw) {
			t.Errorf("%s, first %s", g.raw, first.raw)
		}
	}
	n.want(409, "POST", path, `{"message":"b"}`, "as ann", "Idempotency-Key: k")
	if g := n.want(201, "POST", path, `{"message":"a"}`, "as bob", "Idempotency-Key: k"); g.num("seq") != 2 {
		t.Errorf("%s", g.raw)
	}
	if g := n.want(200, "GET", path, nil, "as ann"); len(g.body["messages"].([]any)) != 2 {
		t.Errorf("%s", g.raw)
	}
}

func TestNames(t *testing.T) {
	n := newNode(t, nil)
	for _, room := range []string{"a%2Fb", "%D0%BA%D0%BE%D0%BC%D0%BD%D0%B0%D1%82%D0%B0", "100%25", "a%20b+c", "%2Ea", "x%3Fy%23z", "messages", "a;b"} {
		n.want(201, "POST", "/v1/rooms/"+room+"/messages", `{"message":"a"}`, "as %D1%8F%2F%25")
		g := n.want(200, "GET", "/v1/rooms/"+room+"/messages", nil, "as %D1%8F%2F%25")
		if user := g.body["messages"].([]any)[0].(map[string]any)["user"]; user != "я/%" {
			t.Errorf("%s: user %q", room, user)
		}
	}
	if g := n.want(200, "GET", "/v1/rooms", nil, "as %D1%8F%2F%25"); len(g.body["rooms"].([]any)) != 8 || !strings.Contains(string(g.raw), `"a/b"`) {
		t.Errorf("%s", g.raw)
	}
}

// However many wrong credentials come from an address, a right one is accepted; the
// wrong ones are answered 429 when they are too many.
func TestFailedAuthentications(t *testing.T) {
	ip := netip.MustParseAddr("203.0.113.1")
	n := newNode(t, func(c *Config) { c.ClientIP = func(*http.Request) netip.Addr { return ip } })
	now := time.Now()
	n.api.failures = newFailures(func() time.Time { return now })
	good, key := n.token("tom"), n.key(identity.ScopeRead)
	for range failuresBurst {
		n.want(401, "GET", "/v1/rooms", nil, "broken")
		n.want(200, "GET", "/v1/rooms", nil, "as ann") // not a guess
	}
	for _, wrong := range []string{"broken", "rtk_x_y", good + "x", key + "x"} {
		if g := n.want(429, "GET", "/v1/rooms", nil, wrong); g.code() != "rate_limited" || g.header.Get("Retry-After") != "1" {
			t.Errorf("%s %v", g.raw, g.header)
		}
	}
	n.want(200, "GET", "/v1/rooms", nil, good)
	n.want(200, "GET", "/v1/rooms", nil, key, "as ann")
	n.want(429, "GET", "/metrics", nil, "broken", "X-Forwarded-For: 192.0.2.1")
	ip = netip.MustParseAddr("::ffff:203.0.113.2")
	n.want(401, "GET", "/v1/rooms", nil, "broken")
	ip = netip.MustParseAddr("::ffff:203.0.113.1")
	n.want(429, "GET", "/v1/rooms", nil, "broken")
	now = now.Add(time.Second)
	n.want(401, "GET", "/v1/rooms", nil, "broken")
	n.want(429, "GET", "/v1/rooms", nil, "broken")
}

func TestFailuresByNetwork(t *testing.T) {
	f := newFailures(time.Now)
	wrong := chat.E(chat.Unauthed, "wrong")
	network := func(s string) netip.Prefix { return netip.MustParsePrefix(s) }
	for range failuresBurst {
		if err := f.count(network("2001:db8::/64"), wrong); err != error(wrong) {
			t.Fatal(err)
		}
	}
	if err := f.count(network("2001:db8::/64"), wrong); chat.KindOf(err) != chat.RateLimited {
		t.Errorf("one too many: %v", err)
	}
	if err := f.count(network("2001:db8:0:1::/64"), wrong); err != error(wrong) {
		t.Error(err)
	}
	for range failuresBurst + 1 { // loopback and proxies stand for any number of clients
		if err := f.count(netip.Prefix{}, wrong); err != error(wrong) {
			t.Fatal(err)
		}
	}
	for i := range 3 * failuresKept {
		f.count(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32), wrong)
	}
	if f.rates.Len() > 2*failuresKept {
		t.Errorf("%d networks are remembered", f.rates.Len())
	}
}

// A password in front of a site adds Authorization: Basic to every request. It is no
// credential of this API: a guest is a guest, a token counts, and nothing has failed.
func TestOtherSchemesAreNoCredentials(t *testing.T) {
	n := newNode(t, nil)
	ann := n.token("ann")
	for range failuresBurst + 1 {
		n.want(200, "GET", "/v1/rooms", nil, "as bob", "Authorization: Basic YTpi")
	}
	for _, scheme := range []string{"Digest x", "Negotiate", "Basic"} {
		n.want(200, "GET", "/v1/rooms", nil, "as bob", "Authorization: "+scheme)
		n.want(200, "GET", "/v1/rooms", nil, "Authorization: "+scheme, "Authorization: bearer "+ann)
	}
	n.want(401, "GET", "/v1/rooms", nil, "Authorization: Basic YTpi")
	n.want(401, "GET", "/v1/rooms", nil, "Authorization: Bearer", "as bob")
}

// An authentication while too many are under way is answered busy, and succeeds
// later.
func TestBusyAuthentications(t *testing.T) {
	limiter := limit.New(limit.Config{Name: "authentications", Permits: 1, MaxWaiting: -1})
	v, err := identity.New(identity.Config{Guests: true, Secret: secret, Limiter: limiter})
	if err != nil {
		t.Fatal(err)
	}
	n := newNode(t, func(c *Config) { c.Verifier = v })
	ann := n.token("ann")
	if err := limiter.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range failuresBurst + 1 { // none of them a failed attempt
		g := n.want(503, "GET", "/v1/rooms", nil, ann)
		if wait := g.header.Get("Retry-After"); g.code() != "busy" || g.num("retry_after") < 500 || wait < "1" || wait > "3" {
			t.Errorf("%s %q", g.raw, wait)
		}
	}
	n.want(200, "GET", "/v1/rooms", nil, "as bob") // has nothing to prove
	limiter.Release()
	n.want(200, "GET", "/v1/rooms", nil, ann)
}

// Only API keys read the metrics. That a request comes from this machine proves nothing:
// a proxy on it forwards requests from anywhere, and need not say so.
func TestMetricsAreNotPublic(t *testing.T) {
	n := newNode(t, nil)
	public := newNode(t, func(c *Config) { c.PublicMetrics = true })
	key := n.key(identity.ScopeMetrics)
	n.want(200, "GET", "/v1/rooms", nil, "as abe")
	n.want(403, "GET", "/v1/rooms", nil, key)
	for _, tt := range []struct {
		n      *node
		lines  []string
		status int
	}{
		{n, nil, 401},
		{n, []string{"X-Forwarded-For: 127.0.0.1"}, 401},
		{n, []string{"as abe"}, 401},
		{n, []string{"Authorization: Basic YTpi"}, 401},
		{n, []string{n.token("tom")}, 403},
		{n, []string{"rtk_x_y"}, 401},
		{n, []string{n.key(identity.ScopeSend)}, 403},
		{n, []string{n.key(identity.ScopeRead)}, 200},
		{n, []string{n.key(identity.ScopeAll)}, 200},
		{n, []string{key}, 200},
		{public, nil, 200},
	} {
		g := tt.n.want(tt.status, "GET", "/metrics", nil, tt.lines...)
		if tt.status != 200 && (strings.Contains(string(g.raw), "roomtide_http") || tt.status == 401 && g.header.Get("WWW-Authenticate") == "") {
			t.Errorf("%v: %s", tt.lines, g.raw)
		}
	}
	n.do("GET", "/v1/rooms/some-room-name/x/y/z", nil)
	text := string(n.want(200, "GET", "/metrics", nil, key).raw)
	if !strings.Contains(text, `roomtide_http_requests_total{route="GET /v1/rooms",status="200"} 1`) || !strings.Contains(text, `{route="other",status="404"} 1`) || strings.Contains(text, "some-room-name") {
		t.Error(text)
	}
}

// A panic is one failed request, a line in the log that does not quote it, and a
// count.
func TestPanic(t *testing.T) {
	n := newNode(t, func(c *Config) { c.Ready = func() ([]string, error) { panic("oops") } })
	if g := n.want(500, "GET", "/readyz", nil); g.code() != "internal" || strings.Contains(string(g.raw), "oops") {
		t.Errorf("%s", g.raw)
	}
	if log := n.log.String(); !strings.Contains(log, "a handler panicked") || !strings.Contains(log, "api_test.go") || strings.Contains(log, "oops") {
		t.Errorf("log: %s", log)
	}
	if text := string(n.want(200, "GET", "/metrics", nil, n.key(identity.ScopeMetrics)).raw); !strings.Contains(text, "\nroomtide_http_panics_total 1\n") {
		t.Error(text)
	}
	n.want(200, "GET", "/healthz", nil)
}

// OPTIONS on an address says what is allowed there, as proxies ask to learn whether a
// node is well.
func TestOptions(t *testing.T) {
	n := newNode(t, nil)
	for path, allow := range map[string]string{
		"/healthz": "GET, HEAD, OPTIONS", "/readyz": "GET, HEAD, OPTIONS", "/openapi.json": "GET, HEAD, OPTIONS", "/metrics": "GET, HEAD, OPTIONS",
		"/v1/rooms/r/messages": "GET, HEAD, POST, OPTIONS",
	} {
		if g := n.want(204, "OPTIONS", path, nil); g.header.Get("Allow") != allow {
			t.Errorf("%s: Allow: %s", path, g.header.Get("Allow"))
		}
	}
	n.want(404, "OPTIONS", "/v1/nothing", nil)
}

// A slash too many is answered with what is wrong, not with a redirect that loses the
// body. Ids may hold any number of them, encoded.
func TestSlashesTooMany(t *testing.T) {
	n := newNode(t, nil)
	for path, want := range map[string]string{
		"//v1/rooms": "empty segment", "/v1//rooms": "empty segment", "/v1/rooms//messages": "empty segment",
		"/v1/rooms/../rooms": "dots", "/v1/./rooms": "dots",
		"/v1/rooms/": "slash at the end", "/healthz/": "slash at the end", "/v1/": "slash at the end",
		"/v1/nothing": "nothing at this address",
	} {
		for _, method := range []string{"GET", "POST"} {
			if g := n.do(method, path, nil, "as ann"); g.status != 404 || g.code() != "not_found" || !strings.Contains(string(g.raw), want) {
				t.Errorf("%s %s: %d %s", method, path, g.status, g.raw)
			}
		}
	}
	n.want(201, "POST", "/v1/rooms/a%2F%2Fb%2F/messages", `{"message":"a"}`, "as ann")
}

// How many requests a busy node refuses is for clients to choose; how many lines they
// cause in the log is not.
func TestLogIsBounded(t *testing.T) {
	n := newNode(t, func(c *Config) { c.Ready = func() ([]string, error) { return nil, errors.New("busy") } })
	for range 100 {
		n.want(503, "GET", "/readyz", nil)
	}
	if lines := strings.Count(n.log.String(), "a request was not served"); lines != 1 {
		t.Errorf("%d lines", lines)
	}
	var w warnings
	now := time.Now()
	for i, want := range []struct {
		after  time.Duration
		due    bool
		silent int
	}{{0, true, 0}, {time.Second, false, 0}, {2 * time.Second, false, 0}, {warnEvery, true, 2}, {warnEvery + 1, false, 0}, {2 * warnEvery, true, 1}, {4 * warnEvery, true, 0}} {
		if due, silent := w.next("a", now.Add(want.after)); due != want.due || silent != want.silent {
			t.Errorf("%d: %t %d", i, due, silent)
		}
	}
	if due, _ := w.next("b", now); !due {
		t.Error("another line is not due")
	}
}
