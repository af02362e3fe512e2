package engineio_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/websocket"
)

func TestCheck(t *testing.T) {
	asked := 0
	o := engineio.Options{CheckOrigin: func(*http.Request) error { return nil }, Check: func(r *http.Request) error {
		asked++
		if r.Header.Get("Token") == "late" {
			return fmt.Errorf("checked: %w", &engineio.CheckError{Status: 503, Text: "full"})
		}
		if r.Header.Get("Token") != "good" {
			return errors.New(`no "token"`)
		}
		return nil
	}}
	inBubble(t, o, func(t *testing.T, w *world) {
		c := &client{world: w, version: 4}
		const refused = `{"code":4,"message":"no \"token\""}`
		c.get().want(t, 403, refused)
		a := c.get("Token", "good", "Origin", "https://anywhere.example")
		if a.status != 200 || asked != 2 {
			t.Fatal(a, asked)
		}
		c.sid = w.parseHello(a.body).SID
		c.post("4again").want(t, 200, "ok") // a session was checked once
		if s := w.engine.Find(c.sid); s.Request().Header.Get("Token") != "good" || s.Request().URL.Query().Get("EIO") != "4" {
			t.Error(s.Request())
		} else if s.ForgetRequest(); s.Request() != nil {
			t.Error("the request is not forgotten")
		}
		w.refuseStatus("EIO=4&transport=websocket", nil, 403)
		w.refuseStatus("EIO=4&transport=websocket", http.Header{"Token": {"late"}}, 503)
		if full := (&client{world: w, version: 4}).get("Token", "late"); full.status != 503 || full.header.Get("Retry-After") != "5" {
			t.Error(full)
		}
		if asked != 5 || w.engine.Stats().Sockets != 1 {
			t.Error(asked, w.engine.Stats())
		}
	})
}

// refuseStatus checks that a WebSocket is refused with this status.
func (w *world) refuseStatus(query string, header http.Header, status int) {
	w.Helper()
	s, err := w.dialWS("http://"+w.addr+"/engine.io/?"+query, header)
	if err == nil {
		s.bye()
		if status != 0 {
			w.Errorf("%s %v: let in", query, header)
		}
		return
	}
	var refused *websocket.HandshakeError
	if !errors.As(err, &refused) || refused.Status != status {
		w.Errorf("%s %v: %v", query, header, err)
	}
}

// Without a CheckOrigin, only pages of the same host and those CORS allows get in, on
// either transport.
func TestOrigins(t *testing.T) {
	allow := func(origin string) bool { return origin == "https://app.example.com" }
	for _, tt := range []struct {
		cors   func(string) bool
		origin string
		ok     bool
	}{
		{nil, "", true},
		{nil, "http://pipe", true},
		{nil, "https://PIPE", true},
		{nil, "http://pipe:81", false},
		{nil, "https://app.example.com", false},
		{nil, "null", false},
		{allow, "http://pipe", true},
		{allow, "https://app.example.com", true},
		{allow, "http://app.example.com", false},
		{allow, "https://app.example.com:444", false},
		{allow, "https://evil-app.example.com", false},
		{allow, "https://app.example.com.evil", false},
		{allow, "https://sub.app.example.com", false},
		{allow, "null", false},
		{allow, "https://", false},
	} {
		t.Run(tt.origin, func(t *testing.T) {
			inBubble(t, engineio.Options{CORS: tt.cors}, func(t *testing.T, w *world) {
				c := &client{world: w, version: 4}
				h := http.Header{}
				if tt.origin != "" {
					h.Set("Origin", tt.origin)
				}
				req, _ := http.NewRequest("GET", c.url("polling"), nil)
				req.Header = h
				a := w.do(req)
				status := map[bool]int{true: 200, false: 403}[tt.ok]
				if a.status != status {
					t.Errorf("polling: %v", a)
				}
				if status == 200 {
					status = 0
				}
				w.refuseStatus("EIO=4&transport=websocket", h, status)
				echoed := a.header.Get("Access-Control-Allow-Origin")
				if want := tt.cors != nil && tt.cors(tt.origin); (echoed != "") != want || want && echoed != tt.origin {
					t.Errorf("allowed %q", echoed)
				}
			})
		})
	}
}

func TestCORS(t *testing.T) {
	o := engineio.Options{CORS: func(origin string) bool { return origin == "https://app.example.com" }}
	inBubble(t, o, func(t *testing.T, w *world) {
		c := w.open(4)
		a := w.request("OPTIONS", c.url("polling"), "", "Origin", "https://app.example.com",
			"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type,x-more")
		a.want(t, 204, "")
		for k, v := range map[string]string{
			"Access-Control-Allow-Origin": "https://app.example.com", "Access-Control-Allow-Credentials": "true",
			"Access-Control-Allow-Methods": "GET, POST", "Access-Control-Allow-Headers": "content-type,x-more",
		} {
			if a.header.Get(k) != v {
				t.Errorf("%s: %q", k, a.header.Get(k))
			}
		}
		if !slices.Contains(a.header["Vary"], "Origin") {
			t.Error(a.header["Vary"])
		}
		a = c.post("4x", "Origin", "https://app.example.com")
		if a.status != 200 || a.header.Get("Access-Control-Allow-Origin") != "https://app.example.com" {
			t.Errorf("%v %v", a, a.header)
		}
		// Refusals can be read by the page as well, and nothing by other pages.
		a = w.request("GET", "http://"+w.addr+"/?EIO=4&transport=no", "", "Origin", "https://app.example.com")
		if a.status != 400 || a.header.Get("Access-Control-Allow-Origin") == "" {
			t.Errorf("%v %v", a, a.header)
		}
		for _, method := range []string{"OPTIONS", "GET"} {
			a = w.request(method, c.url("polling"), "", "Origin", "https://other.example.com")
			for k := range a.header {
				if strings.HasPrefix(k, "Access-Control") {
					t.Errorf("%s: %s %v", method, k, a.header[k])
				}
			}
		}
	})
}

// A page of another site cannot use JSONP to go around CORS, in browsers that say so.
func TestJSONPSites(t *testing.T) {
	o := engineio.Options{JSONP: true, CORS: func(origin string) bool { return origin == "https://app.example.com" }}
	for _, tt := range []struct {
		site, referer string
		status        int
	}{
		{"", "", 200},
		{"", "http://pipe/page", 200},
		{"", "https://app.example.com/page", 200},
		{"", "http://evil.example/", 403},
		{"", "nonsense", 403},
		{"same-origin", "", 200},
		{"none", "", 200},
		{"same-site", "", 403},
		{"cross-site", "", 403},
		{"cross-site", "https://evil.example.com/", 403},
		{"cross-site", "https://app.example.com/page", 200},
	} {
		inBubble(t, o, func(t *testing.T, w *world) {
			c := &client{world: w, version: 3, more: "&j=0"}
			var h []string
			if tt.site != "" {
				h = append(h, "Sec-Fetch-Site", tt.site)
			}
			if tt.referer != "" {
				h = append(h, "Referer", tt.referer)
			}
			if a := c.get(h...); a.status != tt.status {
				t.Errorf("%+v: %v", tt, a)
			}
			// In protocol 4 there is no JSONP: the answer is no script.
			c.version = 4
			if a := c.get(h...); a.status != 200 || a.body[0] != '0' {
				t.Errorf("%+v: %v", tt, a)
			}
		})
	}
}

// Answers are scripts, which any page may load, only where that is asked for.
func TestJSONPIsOff(t *testing.T) {
	inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
		(&client{world: w, version: 3, more: "&j=0"}).get().want(t, 403, `{"code":4,"message":"Forbidden"}`)
		c := w.open(3)
		c.more = "&j=0"
		if a := c.post("d=4x"); a.status != 403 {
			t.Errorf("a form of a page: %v", a)
		}
		if a := c.get(); a.status != 403 {
			t.Errorf("a script: %v", a)
		}
	})
}

// A session that was opened elsewhere is no use to a page that may not open one.
func TestOriginOfEveryRequest(t *testing.T) {
	evil := []string{"Origin", "http://evil.example"}
	for name, o := range map[string]engineio.Options{
		"by default": {},
		"by a check": {CheckOrigin: func(r *http.Request) error {
			if r.Header.Get("Origin") == evil[1] {
				return errors.New("not this page")
			}
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, o, func(t *testing.T, w *world) {
				c := w.open(4)
				if a := c.post("4x", evil...); a.status != 403 {
					t.Errorf("a message: %v", a)
				}
				if a := c.get(evil...); a.status != 403 {
					t.Errorf("a poll: %v", a)
				}
				w.refuseStatus("EIO=4&transport=websocket&sid="+c.sid, http.Header{evil[0]: {evil[1]}}, 403)
				c.post("4x").want(t, 200, "ok") // the session is unharmed
			})
		})
	}
}

// Where every page may read answers, none gets them with credentials unless it is
// known by name.
func TestOpenCORS(t *testing.T) {
	o := engineio.Options{OpenCORS: true, CORS: func(origin string) bool { return origin == "https://app.example.com" }}
	inBubble(t, o, func(t *testing.T, w *world) {
		c := &client{world: w, version: 4}
		for origin, want := range map[string][2]string{
			"https://app.example.com":   {"https://app.example.com", "true"},
			"https://other.example.com": {"*", ""},
			"null":                      {"*", ""},
		} {
			a := c.get("Origin", origin)
			if got := [2]string{a.header.Get("Access-Control-Allow-Origin"), a.header.Get("Access-Control-Allow-Credentials")}; a.status != 200 || got != want {
				t.Errorf("%s: %v %v", origin, a, got)
			}
		}
	})
}
