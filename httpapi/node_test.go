package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/bus/membus"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/cluster"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/internal/testserver"
	"github.com/roomtide/roomtide/presence/mempresence"
	"github.com/roomtide/roomtide/push"
	"github.com/roomtide/roomtide/push/logpush"
)

var secret = []byte("0123456789abcdef0123456789abcdef")

// Every request and stream ends with all its goroutines.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is a whole server without sockets: real databases, lanes, engine and hub,
// spoken to over real HTTP. Every answer is held against the specification.
type node struct {
	t      *testing.T
	api    *API
	engine *engine.Engine
	hub    *hub.Hub
	srv    *httptest.Server
	url    string
	log    testserver.Log
	later  atomic.Int64 // nanoseconds that identities believe have passed
	bus    lossy
	online interrupted

	mu   sync.Mutex
	keys []identity.Key
	seen map[string]bool // operations that were answered well
}

// interrupted is a presence driver that calls a function, once, while a join asks it
// which users are online.
type interrupted struct {
	*mempresence.Driver
	next atomic.Pointer[func()]
}

func (d *interrupted) Online(ctx context.Context, room chat.RoomID, limit int) ([]chat.UserID, int, error) {
	if do := d.next.Swap(nil); do != nil {
		(*do)()
	}
	return d.Driver.Online(ctx, room, limit)
}

// lossy is a bus that can lose the next batch.
type lossy struct {
	bus.Bus
	lose atomic.Bool
}

func (b *lossy) Publish(batch *bus.Batch) error {
	if b.lose.CompareAndSwap(true, false) {
		return nil
	}
	return b.Bus.Publish(batch)
}

func newNode(t *testing.T, change func(*Config)) *node {
	t.Helper()
	return newNodeWith(t, nil, change)
}

// newNodeWith is newNode with a durable queue; nil: none.
func newNodeWith(t *testing.T, queue *testserver.Queue, change func(*Config)) *node {
	t.Helper()
	n := &node{t: t, seen: map[string]bool{}}
	n.bus.Bus, n.online.Driver = membus.New(), mempresence.New()
	gateway, err := push.NewGateway(push.Config{Providers: []push.Provider{logpush.New(slog.New(slog.DiscardHandler))}})
	if err != nil {
		t.Fatal(err)
	}
	deps, h := testserver.Open(t, testserver.Config{
		Targets: gateway,
		Bus:     &n.bus, Driver: &n.online, LateAfter: time.Minute, Queue: queue, // a busy machine loses nothing
		Identity: identity.Config{
			Guests: true, Secret: secret,
			Now: func() time.Time { return time.Now().Add(time.Duration(n.later.Load())) },
			APIKeys: func(context.Context) ([]identity.Key, error) {
				n.mu.Lock()
				defer n.mu.Unlock()
				return slices.Clone(n.keys), nil
			},
		},
	})
	n.engine, n.hub = deps.Engine, h
	cfg := Config{
		Engine: n.engine, Hub: n.hub, Verifier: deps.Verifier, Registry: prometheus.NewRegistry(),
		Nodes: func(context.Context) ([]cluster.Info, error) {
			return []cluster.Info{{Name: "one", This: true, Alive: true, Lanes: []string{"a", "b"}}}, nil
		},
		Origins: []string{"https://app.example.com"},
		Log:     slog.New(slog.NewJSONHandler(&n.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&cfg)
	}
	n.api = New(cfg)
	n.srv = httptest.NewServer(n.api)
	t.Cleanup(func() { n.srv.Close(); http.DefaultClient.CloseIdleConnections() })
	t.Cleanup(n.hub.Close) // ends the streams, which the server waits for
	n.url = n.srv.URL
	return n
}

// key makes an API key.
func (n *node) key(scopes ...string) string {
	n.t.Helper()
	raw, k, err := identity.NewKey("test", scopes)
	if err != nil {
		n.t.Fatal(err)
	}
	n.mu.Lock()
	n.keys = append(n.keys, k)
	n.mu.Unlock()
	n.later.Add(int64(5 * time.Second)) // the verifier reads the list again
	return raw
}

func (n *node) revokeKeys() {
	n.mu.Lock()
	for i := range n.keys {
		n.keys[i].Revoked = 1
	}
	n.mu.Unlock()
	n.later.Add(int64(5 * time.Second))
}

func (n *node) token(user chat.UserID, rooms ...chat.RoomID) string {
	n.t.Helper()
	raw, err := identity.Mint(secret, user, "", rooms, time.Hour)
	if err != nil {
		n.t.Fatal(err)
	}
	return raw
}

// got is an answer that was read whole.
type got struct {
	status int
	header http.Header
	raw    []byte
	body   map[string]any
}

func (g *got) num(name string) int {
	f, _ := g.body[name].(float64)
	return int(f)
}

func (g *got) code() string { s, _ := g.body["code"].(string); return s }

// header turns "Name: value" lines into a header. "as bob" is a guest, other
// words without a colon are a token or an API key.
func header(lines ...string) http.Header {
	h := http.Header{}
	for _, l := range lines {
		name, value, ok := strings.Cut(l, ": ")
		switch {
		case ok:
			h.Add(name, value)
		case strings.HasPrefix(l, "as "):
			h.Set(userHeader, l[3:])
		default:
			h.Set("Authorization", "Bearer "+l)
		}
	}
	return h
}

// do sends a request; body is JSON, or a reader that is sent in chunks.
func (n *node) do(method, path string, body any, lines ...string) *got {
	n.t.Helper()
	var rd io.Reader
	var sent []byte
	switch b := body.(type) {
	case nil:
	case string:
		sent = []byte(b)
		rd = strings.NewReader(b)
	case io.Reader:
		rd = b
	}
	req, err := http.NewRequestWithContext(n.t.Context(), method, n.url+path, rd)
	if err != nil {
		n.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range header(lines...) {
		req.Header[k] = v
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	g := &got{status: resp.StatusCode, header: resp.Header, raw: raw}
	if len(raw) > 0 && strings.Contains(resp.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(raw, &g.body); err != nil {
			n.t.Fatalf("%s %s: %v: %s", method, path, err, raw)
		}
	}
	n.checkSpec(req, sent, g)
	return g
}

// want is do that also checks the status.
func (n *node) want(status int, method, path string, body any, lines ...string) *got {
	n.t.Helper()
	g := n.do(method, path, body, lines...)
	if g.status != status {
		n.t.Fatalf("%s %s: %d %s, want %d", method, path, g.status, g.raw, status)
	}
	return g
}

var loadSpec = sync.OnceValue(func() *openapi3.T {
	doc, err := openapi3.NewLoader().LoadFromData(Spec())
	if err != nil {
		panic(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		panic(err)
	}
	for _, s := range doc.Components.Schemas {
		closeSchema(s)
	}
	return doc
})

// closeSchema makes a field that the specification does not name an error:
// nothing may slip into an answer unnoticed.
func closeSchema(s *openapi3.SchemaRef) {
	if s == nil || s.Value == nil {
		return
	}
	if v := s.Value; len(v.Properties) > 0 {
		no := false
		v.AdditionalProperties = openapi3.AdditionalProperties{Has: &no}
		for _, p := range v.Properties {
			closeSchema(p)
		}
	}
	closeSchema(s.Value.Items)
}

// checkSpec holds an answer, and the request if it was answered well, against
// the specification. Addresses that are not in it must be answered 404 or 405.
func (n *node) checkSpec(req *http.Request, sent []byte, g *got) {
	n.t.Helper()
	if req.Method == http.MethodOptions || req.Method == http.MethodHead {
		return
	}
	template, params, item := findPath(req.URL)
	var op *openapi3.Operation
	if item != nil {
		op = item.GetOperation(req.Method)
	}
	if op == nil {
		if g.status != http.StatusNotFound && g.status != http.StatusMethodNotAllowed && g.status != http.StatusForbidden {
			n.t.Errorf("%s %s is not in the specification but was answered %d", req.Method, req.URL.Path, g.status)
		}
		return
	}
	in := &openapi3filter.RequestValidationInput{
		Request: req, PathParams: params,
		Route:   &routers.Route{Spec: loadSpec(), Path: template, PathItem: item, Method: req.Method, Operation: op},
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	if g.status < 300 {
		n.mu.Lock()
		n.seen[op.OperationID] = true
		n.mu.Unlock()
		if string(bytes.TrimSpace(sent)) == "[]" {
			sent = []byte("{}") // taken for it, which a schema cannot say
		}
		if len(sent) > 0 {
			req.Body, req.GetBody = io.NopCloser(bytes.NewReader(sent)), nil
			if err := openapi3filter.ValidateRequest(n.t.Context(), in); err != nil {
				n.t.Errorf("%s %s: the specification does not allow this request: %v", req.Method, req.URL.Path, err)
			}
		}
	}
	if strings.HasPrefix(g.header.Get("Content-Type"), "text/event-stream") {
		in.Options.ExcludeResponseBody = true
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: g.status, Header: g.header, Options: in.Options}
	out.SetBodyBytes(g.raw)
	if err := openapi3filter.ValidateResponse(n.t.Context(), out); err != nil {
		n.t.Errorf("%s %s answers %d against the specification: %v\n%s", req.Method, req.URL.Path, g.status, err, g.raw)
	}
}

// findPath finds the path of the specification that a URL is of.
func findPath(u *url.URL) (template string, params map[string]string, item *openapi3.PathItem) {
	segs := strings.Split(u.EscapedPath(), "/")
paths:
	for _, t := range loadSpec().Paths.InMatchingOrder() {
		ts := strings.Split(t, "/")
		if len(ts) != len(segs) {
			continue
		}
		params = map[string]string{}
		for i, s := range ts {
			if name, ok := strings.CutPrefix(s, "{"); ok {
				params[strings.TrimSuffix(name, "}")], _ = url.PathUnescape(segs[i])
			} else if s != segs[i] {
				continue paths
			}
		}
		return t, params, loadSpec().Paths.Value(t)
	}
	return "", nil, nil
}

// mint signs a token that was issued at a time.
func mint(user chat.UserID, name string, issued time.Time) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": string(user), "name": name, "iat": issued.Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString(secret)
}
