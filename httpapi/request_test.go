package httpapi

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
)

func TestOrigin(t *testing.T) {
	n := newNode(t, nil)
	all := newNode(t, func(c *Config) { c.Origins = []string{"*"} })
	own := n.url
	for _, tt := range []struct {
		origin string
		n      *node
		ok     bool
	}{
		{own, n, true},
		{strings.Replace(own, "http:", "https:", 1), n, true}, // a proxy took TLS off
		{"https://app.example.com", n, true},
		{"HTTPS://APP.example.com", n, true},
		{"https://app.example.com:443", n, true},
		{"http://app.example.com", n, false},
		{"https://app.example.com:80", n, false},
		{"https://user@app.example.com", n, false},
		{"https://app.example.com?", n, false},
		{"https://app.example.com#", n, false},
		{"https://app.example.com:8443", n, false},
		{"https://app.example.com.evil", n, false},
		{"https://evil-app.example.com", n, false},
		{"https://example.com", n, false},
		{"https://app.example.com/", n, false},
		{"https://app.example.com@evil", n, false},
		{own + "0", n, false},
		{own + "@evil", n, false},
		{"null", n, false},
		{"file://", n, false},
		{"chrome-extension://x", n, false},
		{"garbage", n, false},
		{"https://evil.example", all, true},
		{"null", all, true},
	} {
		for _, method := range []string{"GET", "POST", "OPTIONS"} {
			body, status := any(nil), http.StatusOK
			lines := []string{"as ann", "Origin: " + tt.origin}
			switch method {
			case "POST":
				body, status = `{"message":"a"}`, http.StatusCreated
			case "OPTIONS":
				lines = []string{"Origin: " + tt.origin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: roomtide-user"}
				status = http.StatusNoContent
			case "GET":
				tt.n.want(201, "POST", "/v1/rooms/r/messages", `{"message":"a"}`, "as ann")
			}
			if !tt.ok {
				status = http.StatusForbidden
			}
			g := tt.n.do(method, "/v1/rooms/r/messages", body, lines...)
			allowed := g.header.Get("Access-Control-Allow-Origin")
			if g.status != status || (allowed == tt.origin) != tt.ok || (!tt.ok && allowed != "") || g.header.Get("Vary") != "Origin" {
				t.Errorf("%s from %q: %d, allowed %q, want %d", method, tt.origin, g.status, allowed, status)
			}
			if g.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Error("credentials are allowed")
			}
			if method == "OPTIONS" && tt.ok && (!strings.Contains(g.header.Get("Access-Control-Allow-Headers"), userHeader) || !strings.Contains(g.header.Get("Access-Control-Allow-Methods"), "PATCH")) {
				t.Errorf("preflight: %v", g.header)
			}
		}
	}
	n.want(403, "GET", "/v1/rooms", nil, "as ann", "Origin: "+own, "Origin: https://evil.example")
}

func TestBodies(t *testing.T) {
	n := newNode(t, nil)
	const path = "/v1/rooms/r/messages"
	frame := chat.DefaultLimits().FrameBytes
	for name, tt := range map[string]struct {
		body   any
		status int
	}{
		"empty":               {``, 400},
		"array":               {`[]`, 400},
		"null":                {`null`, 400},
		"text":                {`hello`, 400},
		"cut":                 {`{"message":"a"`, 400},
		"garbage behind":      {`{"message":"a"} x`, 400},
		"two objects":         {`{"message":"a"}{"message":"b"}`, 400},
		"deeper than allowed": {`{"message":"a","x":` + strings.Repeat("[", 33) + strings.Repeat("]", 33) + `}`, 400},
		"not UTF-8":           {"{\"message\":\"\xff\"}", 400},
		"deep":                {`{"message":"a","x":` + strings.Repeat("[", 60000) + `}`, 400},
		"other case":          {`{"Message":"a"}`, 400},
		"white space":         {" \n{\"message\":\"a\"}\n ", 201},
		"null fields":         {`{"message":"a","reply_to":null,"data":null,"user":null}`, 201},
		"as large as allowed": {`{"message":"a"}` + strings.Repeat(" ", frame-15), 201},
		"too large":           {`{"message":"a"}` + strings.Repeat(" ", frame-14), 413},
		"chunked":             {io.MultiReader(strings.NewReader(`{"message":"a"}`)), 201},
		"chunked, too large":  {io.MultiReader(strings.NewReader(`{"message":"a"}`), strings.NewReader(strings.Repeat(" ", frame))), 413},
		"chunked, endless":    {io.MultiReader(strings.NewReader(`{"message":"`), zeros{}), 413},
	} {
		if g := n.do("POST", path, tt.body, "as ann"); g.status != tt.status {
			t.Errorf("%s: %d %s, want %d", name, g.status, g.raw, tt.status)
		}
	}
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", "text/plain;application/json"} {
		if g := n.do("POST", path, `{"message":"a"}`, "as ann", "Content-Type: "+kind); g.status != 415 || g.header.Get("Accept") != "application/json" {
			t.Errorf("%q: %d", kind, g.status)
		}
	}
	n.want(201, "POST", path, `{"message":"a"}`, "as ann", "Content-Type: Application/JSON; charset=utf-8")
}

// A body is read by the rules of the protocol, as a frame is: of two fields with
// one name the last counts, and data is passed on without white space.
func TestBodiesAreReadLikeFrames(t *testing.T) {
	n := newNode(t, nil)
	for body, want := range map[string]string{
		`{"message":"a","message":"b"}`:                   `"message":"b"`,
		`{"message":"a","mess\u0061ge":"c"}`:              `"message":"c"`,
		"{\"message\":\"d\",\"data\": {\n\t\"x\": [1 ]}}": `"message":"d","time":"T","data":{"x":[1]}`,
	} {
		n.want(201, "POST", "/v1/rooms/r/messages", body, "as ann")
		g := n.do("GET", "/v1/rooms/r/messages?limit=1", nil, "as ann")
		got := regexp.MustCompile(`"time":"[^"]*"`).ReplaceAllString(string(g.raw), `"time":"T"`)
		if !strings.Contains(got, want) {
			t.Errorf("%s became %s", body, got)
		}
	}
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
