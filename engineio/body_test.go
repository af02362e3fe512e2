package engineio_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/websocket"
)

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

// Clients 1 that asked for base64 encode text twice, clients 2 once; both are
// understood, and both understand what is sent.
func TestTextOfClients1(t *testing.T) {
	o := engineio.Options{EscapeText: engineio.EscapeJSON}
	inBubble(t, o, func(t *testing.T, w *world) {
		w.rec.onMessage = func(s *engineio.Socket, m engineio.Message) {
			w.rec.events <- string(m.Data)
			s.Send(m)
		}
		twice := func(s string) string {
			var b strings.Builder
			for i := range len(s) {
				b.WriteRune(rune(s[i]))
			}
			return b.String()
		}
		once := func(s string) string { return s }
		var c *client
		for _, encode := range []func(string) string{twice, once} {
			c = w.open(3, "&b64=1")
			for _, text := range []string{`"é☃😀"`, `"é"`, `"中文"`} {
				c.post(c.join("4"+encode(text))).want(t, 200, "ok")
				w.expect(text)
				answer := "4" + string(engineio.EscapeJSON(nil, []byte(text)))
				c.get().want(t, 200, fmt.Sprintf("%d:%s", len(answer), answer))
			}
		}
		c = w.open(3, "&b64=1")
		c.post(c.join("4Ã")).want(t, 200, "ok")
		w.expect("Ã") // is not UTF-8 in one piece
	})
}

// Which client it is, its own text tells: a client 1 is answered as it asks, and once
// it is certain that it is a client 2, its text is left alone.
func TestClientsByTheirText(t *testing.T) {
	once, twice := "4日 é 😀", "4\u00e6\u0097\u00a5 \u00c3\u00a9 \u00f0\u009f\u0098\u0080"
	var heard string
	for _, second := range []bool{false, true} {
		inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
			w.rec.onMessage = func(s *engineio.Socket, m engineio.Message) {
				heard = "4" + string(m.Data)
				s.Send(m)
			}
			c := w.open(3, "&b64=1")
			say := func(text, want, answer string) {
				t.Helper()
				c.post(c.join(text)).want(t, 200, "ok")
				if heard != want {
					t.Errorf("%q was heard as %q", text, heard)
				}
				c.get().want(t, 200, c.join(answer))
			}
			if second { // a client 2, some of whose text looks like that of a client 1
				say("4plain", "4plain", "4plain")
				say(once, once, once)
				say("4Ã¤ Â°C", "4Ã¤ Â°C", "4Ã¤ Â°C")
				say(twice, twice, twice)
				return
			}
			say("4plain", "4plain", "4plain")
			say(twice, once, twice)
			say("4plain", "4plain", "4plain")
			say(twice+twice[1:], once+once[1:], twice+twice[1:])
			say(once, once, once) // so it was a client 2 after all
			say(twice, twice, twice)
		})
	}
}
