package engineio_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/websocket"
)

func TestRefusals(t *testing.T) {
	inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
		c := w.open(4)
		for _, tt := range []struct {
			method, query, want string
		}{
			{"GET", "EIO=4&transport=polling&sid=nobody", unknownSession},
			{"POST", "EIO=4&transport=polling&sid=nobody", unknownSession},
			{"GET", "EIO=4&transport=websocket", badRequest},
			{"GET", "EIO=4&transport=websocket&sid=" + c.sid, badRequest},
			{"GET", "EIO=3&transport=polling&sid=" + c.sid, badRequest},
			{"GET", "EIO=abc&transport=polling&sid=" + c.sid, badRequest},
			{"PUT", "EIO=4&transport=polling&sid=" + c.sid, badRequest},
			{"DELETE", "EIO=4&transport=polling&sid=" + c.sid, badRequest},
			{"OPTIONS", "EIO=4&transport=polling", badMethod},
			{"GET", "EIO=4&EIO=4&transport=polling", badRequest},
			{"GET", "EIO=4&transport=polling&transport=websocket", badRequest},
			{"GET", "EIO=4&transport=polling&sid=a&sid=b", badRequest},
			{"GET", "EIO=4&transport=polling&t=%zz", badRequest},
			{"GET", "EIO=3&transport=polling&j=alert", badRequest},
			{"GET", "EIO=3&transport=polling&j=", badRequest},
			{"GET", "eio=4&transport=polling", unsupported},
			{"GET", "EIO=4&Transport=polling", unknownTransport},
		} {
			a := w.request(tt.method, "http://"+w.addr+"/engine.io/?"+tt.query, "")
			if a.status != 400 || a.body != tt.want || a.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s %s: %v", tt.method, tt.query, a)
			}
		}
		for _, query := range []string{
			"EIO=4&transport=polling", "EIO=4&transport=polling&sid=" + c.sid, "EIO=4&transport=websocket&sid=nobody",
			"EIO=3&transport=websocket&sid=" + c.sid,
		} {
			w.refuseWS(query)
		}
		// None of it has done the session any harm.
		c.post("4hello").want(t, 200, "ok")
		c.get().want(t, 200, "4hello")
		w.quiet()
		if got := w.engine.Stats(); got.Refused != 21 || got.Sockets != 1 || got.Opened != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestOptionsNarrow(t *testing.T) {
	t.Run("no protocol 3", func(t *testing.T) {
		inBubble(t, engineio.Options{NoEIO3: true}, func(t *testing.T, w *world) {
			(&client{world: w, version: 3}).get().want(t, 400, unsupported)
			w.open(4)
		})
	})
	t.Run("no upgrade", func(t *testing.T) {
		inBubble(t, engineio.Options{NoUpgrade: true}, func(t *testing.T, w *world) {
			c := &client{world: w, version: 4}
			h := w.parseHello(c.get().body)
			if len(h.Upgrades) != 0 {
				t.Error(h.Upgrades)
			}
			w.refuseWS("EIO=4&transport=websocket&sid=" + h.SID)
			c.ws().bye()
		})
	})
	t.Run("only websocket", func(t *testing.T) {
		inBubble(t, engineio.Options{Transports: []string{"websocket"}}, func(t *testing.T, w *world) {
			c := &client{world: w, version: 4}
			c.get().want(t, 400, unknownTransport)
			c.ws().bye()
		})
	})
	t.Run("only polling", func(t *testing.T) {
		inBubble(t, engineio.Options{Transports: []string{"polling"}}, func(t *testing.T, w *world) {
			c := &client{world: w, version: 4}
			if h := w.parseHello(c.get().body); len(h.Upgrades) != 0 {
				t.Error(h.Upgrades)
			}
			w.refuseWS("EIO=4&transport=websocket")
		})
	})
	t.Run("sockets at once", func(t *testing.T) {
		inBubble(t, engineio.Options{MaxSockets: 2}, func(t *testing.T, w *world) {
			c := &client{world: w, version: 4}
			w.open(4)
			ws := c.ws()
			ws.receiveHello()
			a := c.get()
			if a.want(t, 503, `{"code":4,"message":"Too many sockets"}`); a.header.Get("Retry-After") == "" {
				t.Error(a.header)
			}
			ws.bye()
			w.expect("open", "close: transport close")
			w.open(4)
		})
	})
}

func TestCheck(t *testing.T) {
	asked := 0
	o := engineio.Options{Check: func(r *http.Request) error {
		asked++
		if r.Header.Get("Token") != "good" {
			return errors.New(`no "token"`)
		}
		return nil
	}}
	inBubble(t, o, func(t *testing.T, w *world) {
		c := &client{world: w, version: 4}
		const no = `{"code":4,"message":"no \"token\""}`
		c.get().want(t, 403, no)
		a := c.get("Token", "good", "Origin", "https://anywhere.example") // the origin is the check's business
		if a.status != 200 || asked != 2 {
			t.Fatal(a, asked)
		}
		c.sid = w.parseHello(a.body).SID
		c.post("4again").want(t, 200, "ok") // a session was checked once
		if s := w.engine.Find(c.sid); s.Request().Header.Get("Token") != "good" || s.Request().URL.Query().Get("EIO") != "4" {
			t.Error(s.Request())
		}
		w.refuseStatus("EIO=4&transport=websocket", nil, 403)
		if asked != 3 || w.engine.Stats().Sockets != 1 {
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
	var no *websocket.HandshakeError
	if !errors.As(err, &no) || no.Status != status {
		w.Errorf("%s %v: %v", query, header, err)
	}
}

// Without a Check, only pages of the same host and those CORS allows get in, on
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

func TestJSONP(t *testing.T) {
	inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
		c := &client{world: w, version: 3, more: "&j=7"}
		a := c.get()
		body, ok1 := strings.CutPrefix(a.body, `___eio[7]("`)
		body, ok2 := strings.CutSuffix(body, `");`)
		if !ok1 || !ok2 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/javascript") {
			t.Fatalf("%v %v", a, a.header)
		}
		c.sid = w.parseHello(c.split(strings.ReplaceAll(body, `\"`, `"`))[0]).SID
		form := func(payload string) answer {
			return c.post("d="+url.QueryEscape(payload), "Content-Type", "application/x-www-form-urlencoded")
		}
		// A newline comes as \n, a backslash in front of an n as two.
		a = form(c.join("4a") + `7:4x\ny\\nz`)
		a.want(t, 200, "ok")
		c.get().want(t, 200, `___eio[7]("2:4a7:4x\ny\\nz");`)
		form(c.join("b4AQIDBA==", "4é<\u2028")).want(t, 200, "ok")
		c.get().want(t, 200, `___eio[7]("10:b4AQIDBA==4:4é\u003c\u2028");`)
		c.post("4hello").want(t, 400, badRequest) // not a form
	})
}

// A page of another site cannot use JSONP to go around CORS, in browsers that say so.
func TestJSONPSites(t *testing.T) {
	o := engineio.Options{CORS: func(origin string) bool { return origin == "https://app.example.com" }}
	for _, tt := range []struct {
		site, referer string
		status        int
	}{
		{"", "", 200},
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

// Lengths of protocol 3 count UTF-16 code units. Clients that take the binary
// form get text beyond ASCII in it.
func TestTextBeyondASCII(t *testing.T) {
	const text = "4é☃😀"
	inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
		c := w.open(3, "&b64=1")
		c.post("5:"+text).want(t, 200, "ok")
		c.get().want(t, 200, "5:"+text)

		c = w.open(3)
		c.post("5:"+text).want(t, 200, "ok")
		c.get().want(t, 200, "\x00\x01\x00\xff"+text)
		c.post("\x00\x01\x00\xff"+text, "Content-Type", "application/octet-stream").want(t, 200, "ok")
		c.get().want(t, 200, "\x00\x01\x00\xff"+text)

		c = w.open(4)
		c.post(text).want(t, 200, "ok")
		c.get().want(t, 200, text)
	})
}

// Every malformed body ends its session with 400, after the packets before it.
func TestMalformedBodies(t *testing.T) {
	for _, tt := range []struct {
		version int
		body    string
	}{
		{4, ""}, {4, "\x1e"}, {4, "4a\x1e"}, {4, "\x1e4a"}, {4, "7"}, {4, "x"}, {4, "b!"}, {4, "bAQI"}, {4, "4\xff"}, {4, "\x00"},
		{4, strings.Repeat("6\x1e", engineio.MaxPackets) + "6"},
		{3, ""}, {3, "4a"}, {3, ":4a"}, {3, "2"}, {3, "2:4"}, {3, "3:4a"}, {3, "-1:4"}, {3, "+2:4a"}, {3, "2.:4a"}, {3, "1e1:4a"},
		{3, "2:4a2"}, {3, "1234567890:4a"}, {3, "99999999999999999999:4a"}, {3, "2:4😀"}, {3, "2:7a"}, {3, "3:b4!"}, {3, "6:b2AQID"}, {3, "1:b"},
		{3, strings.Repeat("1:6", engineio.MaxPackets+1)},
	} {
		t.Run(fmt.Sprintf("v%d %.20q", tt.version, tt.body), func(t *testing.T) {
			inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
				w.rec.onMessage = func(*engineio.Socket, engineio.Message) {}
				c := w.open(tt.version)
				waiting := c.poll()
				c.post(tt.body).want(t, 400, badRequest)
				(<-waiting).want(t, 200, c.join("1"))
				w.expect("close: parse error")
				c.get().want(t, 400, unknownSession)
			})
		})
	}
	for _, body := range []string{
		"\x00", "\x02\x01\xff4", "\x00\xff", "\x00\x01", "\x00\x02\xff4", "\x00\x0a\xff4", "\x01\x01\xff\x05", "\x01\x00\xff",
		"\x00\x01\xff7", "\x00\x02\xff4\xff", "\x00\x00\xff", "\x00" + strings.Repeat("\x01", 400) + "\xff4", "\x00\x09\x09\x09\x09\x09\x09\x09\x09\x09\xff4",
	} {
		inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
			c := w.open(3)
			c.post(body, "Content-Type", "application/octet-stream").want(t, 400, badRequest)
			w.expect("close: parse error")
		})
	}
}

func TestMalformedPacketsOnWebSocket(t *testing.T) {
	for _, tt := range []struct {
		version int
		binary  bool
		data    string
		reason  string
	}{
		{4, false, "", "parse error"}, {4, false, "7", "parse error"}, {4, false, "b$", "parse error"},
		{4, false, "2", "transport error"},
		{3, false, "", "parse error"}, {3, false, "9", "parse error"}, {3, true, "", "parse error"}, {3, true, "\x05x", "parse error"},
		{3, false, "3", "transport error"},
	} {
		inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
			ws := (&client{world: w, version: tt.version}).ws()
			ws.receiveHello()
			if tt.binary {
				ws.sendBinary([]byte(tt.data)...)
			} else {
				ws.send(tt.data)
			}
			var closed *websocket.CloseError
			if err := ws.ended(); !errors.As(err, &closed) {
				t.Errorf("%+v: %v", tt, err)
			}
			w.expect("open", "close: "+tt.reason)
		})
	}
	for version, body := range map[int]string{4: "2", 3: "1:3"} {
		inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
			c := w.open(version)
			c.post(body).want(t, 400, badRequest)
			w.expect("close: transport error")
		})
	}
}

// Packets without a meaning on their own are ignored.
func TestIdlePackets(t *testing.T) {
	inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
		ws := (&client{world: w, version: 4}).ws()
		ws.receiveHello()
		for _, p := range []string{"0", "5", "6", "4after", "bAQI="} {
			ws.send(p)
		}
		ws.receive("4after")
		ws.receiveBinary(1, 2)
		ws.bye()
	})
}

// Text that one of the transports cannot carry is refused by all.
func TestSendRefusesText(t *testing.T) {
	inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
		s4, s3 := w.engine.Find(w.open(4).sid), w.engine.Find(w.open(3).sid)
		for _, tt := range []struct {
			s    *engineio.Socket
			m    engineio.Message
			want error
		}{
			{s4, engineio.Message{Data: []byte("a\x1e1")}, engineio.ErrText},
			{s4, engineio.Message{Data: []byte("\xff")}, engineio.ErrText},
			{s3, engineio.Message{Data: []byte("\xff")}, engineio.ErrText},
			{s3, engineio.Message{Data: []byte("a\x1e1")}, nil},
			{s4, engineio.Message{Data: []byte("a\x1e1"), Binary: true}, nil},
		} {
			if err := tt.s.Send(engineio.Message{Data: []byte("ok")}, tt.m); err != tt.want {
				t.Errorf("v%d %q: %v", tt.s.Protocol(), tt.m.Data, err)
			}
		}
		if s4.Held() == 0 {
			t.Error("nothing was queued")
		}
	})
}
