package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, method, target string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	New().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestServe(t *testing.T) {
	for _, tt := range []struct {
		method, path string
		status       int
		contentType  string
		holds        string // in the body; empty: the body is empty
	}{
		{"GET", "/", 200, "text/html; charset=utf-8", `src="static/app.js"`},
		{"HEAD", "/", 200, "text/html; charset=utf-8", ""},
		{"GET", "/?x=1", 200, "text/html; charset=utf-8", "<title>Roomtide</title>"},
		{"GET", "/static/roomtide.js", 200, "text/javascript; charset=utf-8", "export class Roomtide"},
		{"GET", "/static/roomtide.d.ts", 200, "text/plain; charset=utf-8", "export class Roomtide"},
		{"GET", "/static/style.css", 200, "text/css; charset=utf-8", ":root"},
		{"GET", "/static/icon.svg", 200, "image/svg+xml", "<svg"},
		{"GET", "/static", 404, "text/html; charset=utf-8", "no page at this address"},
		{"GET", "/static/", 404, "text/html; charset=utf-8", "no page at this address"},
		{"GET", "/static/index.html", 404, "text/html; charset=utf-8", "no page at this address"},
		{"GET", "/static/../web.go", 404, "text/html; charset=utf-8", "no page at this address"},
		{"GET", "/favicon.ico", 404, "text/html; charset=utf-8", "no page at this address"},
		{"HEAD", "/nothing", 404, "text/html; charset=utf-8", ""},
		{"POST", "/", 405, "text/plain; charset=utf-8", "method not allowed"},
		{"OPTIONS", "/static/app.js", 405, "text/plain; charset=utf-8", "method not allowed"},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			res := get(t, tt.method, tt.path)
			if res.StatusCode != tt.status || res.Header.Get("Content-Type") != tt.contentType {
				t.Errorf("got %d %s, want %d %s", res.StatusCode, res.Header.Get("Content-Type"), tt.status, tt.contentType)
			}
			if b := body(t, res); !strings.Contains(b, tt.holds) || tt.holds == "" && b != "" {
				t.Errorf("body is %.80q, want %q in it", b, tt.holds)
			}
			if (res.Header.Get("ETag") != "") != (tt.status == 200) {
				t.Errorf("ETag is %q with status %d", res.Header.Get("ETag"), tt.status)
			}
			if allow := res.Header.Get("Allow"); (allow == "GET, HEAD") != (tt.status == 405) {
				t.Errorf("Allow is %q with status %d", allow, tt.status)
			}
		})
	}
}

// Each answer, good or bad, is as closed as the page.
func TestSecurityHeaders(t *testing.T) {
	for _, target := range []string{"/", "/static/app.js", "/nothing"} {
		for _, method := range []string{"GET", "POST"} {
			head := get(t, method, target).Header
			csp := head.Get("Content-Security-Policy")
			for _, want := range []string{
				"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
				"img-src 'self' data: https:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'self'",
			} {
				if !strings.Contains(csp+";", want+";") {
					t.Errorf("%s %s: policy %q lacks %q", method, target, csp, want)
				}
			}
			if head.Get("X-Content-Type-Options") != "nosniff" || head.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("%s %s: headers are %v", method, target, head)
			}
		}
	}
}

// Pages of other origins import the client; the page itself is for its own origin.
func TestModulesAreForAllOrigins(t *testing.T) {
	for target, want := range map[string]string{
		"/static/roomtide.js": "*", "/static/connection.js": "*", "/static/roomtide.d.ts": "*", "/static/nothing.js": "*", "/": "", "/nothing": "",
	} {
		if got := get(t, "GET", target, "Origin", "https://www.example.org").Header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s is for origin %q, want %q", target, got, want)
		}
	}
}

func TestCaching(t *testing.T) {
	first := get(t, "GET", "/")
	tag := first.Header.Get("ETag")
	if first.Header.Get("Cache-Control") != "no-cache" || first.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("headers are %v", first.Header)
	}
	packed := get(t, "GET", "/", "Accept-Encoding", "gzip").Header.Get("ETag")
	if tag == packed {
		t.Errorf("both codings have the ETag %s", tag)
	}
	for _, tt := range []struct {
		name, match, accept string
		status              int
	}{
		{"the same", tag, "", 304},
		{"weak", "W/" + tag, "", 304},
		{"one of several", `"a", ` + tag, "", 304},
		{"any", "*", "", 304},
		{"packed", packed, "gzip", 304},
		{"another", `"a"`, "", 200},
		{"packed, asked for plain", packed, "", 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := get(t, "GET", "/", "If-None-Match", tt.match, "Accept-Encoding", tt.accept)
			if res.StatusCode != tt.status {
				t.Fatalf("status is %d, want %d", res.StatusCode, tt.status)
			}
			if b := body(t, res); (b == "") != (tt.status == 304) {
				t.Errorf("status %d with %d bytes", tt.status, len(b))
			}
			if res.Header.Get("ETag") == "" {
				t.Error("no ETag")
			}
		})
	}
}

func TestGzip(t *testing.T) {
	plain := body(t, get(t, "GET", "/static/app.js"))
	for accept, want := range map[string]string{
		"": "", "gzip": "gzip", "br, GZIP;q=0.5": "gzip", "gzip;q=0": "", "gzip; q=0.0, br": "", "identity": "", "*": "",
	} {
		res := get(t, "GET", "/static/app.js", "Accept-Encoding", accept)
		if got := res.Header.Get("Content-Encoding"); got != want {
			t.Errorf("Accept-Encoding %q is answered in %q, want %q", accept, got, want)
			continue
		}
		var r io.Reader = res.Body
		if want == "gzip" {
			zr, err := gzip.NewReader(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			r = zr
		}
		if b, err := io.ReadAll(r); err != nil || string(b) != plain {
			t.Errorf("Accept-Encoding %q: %d bytes and %v, want %d", accept, len(b), err, len(plain))
		}
	}
}

// The page asks nothing of another host and every module it names is there.
func TestFiles(t *testing.T) {
	h := New().(*handler)
	imports := regexp.MustCompile(`(?:from|src=|href=)\s*["']([^"'#]+)["']`)
	hosts := regexp.MustCompile(`https?://[a-zA-Z]`)
	total := 0
	for name, f := range h.pages {
		text := string(f.plain.body)
		if f.contentType == "" {
			t.Errorf("%s has no content type", name)
		}
		if loc := hosts.FindString(strings.ReplaceAll(text, "http://www.w3.org/2000/svg", "")); loc != "" {
			t.Errorf("%s names another host", name)
		}
		for _, m := range imports.FindAllStringSubmatch(text, -1) {
			if target := path.Join(path.Dir(name+"x"), m[1]); !path.IsAbs(m[1]) && h.pages[target] == nil {
				t.Errorf("%s refers to %s, which is not there", name, target)
			}
		}
		if ext := path.Ext(name); ext == ".js" || ext == ".css" {
			total += len(f.gzip.body)
		}
		if regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(`).MatchString(text) {
			t.Errorf("%s makes HTML or code of text", name)
		}
	}
	if total > 45<<10 {
		t.Errorf("scripts and styles are %d bytes on the wire, more than 45 KiB", total)
	}
	t.Logf("scripts and styles are %d bytes on the wire", total)
}

// A page of another origin may import the client. What it imports is public.
func TestPagesOfOtherOriginsImportTheClient(t *testing.T) {
	for path, want := range map[string]string{"/static/roomtide.js": "*", "/static/outbox.js": "*", "/static/style.css": "*", "/": ""} {
		res := get(t, "GET", path, "Origin", "https://www.example.org")
		if got := res.Header.Get("Access-Control-Allow-Origin"); got != want || res.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %q", path, got)
		}
	}
}
