package engineio_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/websocket"
)

// The cases of the public protocol test suites, for both versions, by the names
// they have there. Everything is compared byte by byte.
var suite = []struct {
	name string
	test func(c *client)
}{
	{"handshake/polling/successfully opens a session", func(c *client) {
		a := c.get()
		packets := c.split(a.body)
		if a.status != 200 || len(packets) != 1 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
			c.Fatalf("%v %v", a, a.header)
		}
		h := c.parseHello(packets[0])
		if h.SID == "" || fmt.Sprint(h.Upgrades) != "[websocket]" || !c.keepsTime(h) || h.MaxPayload != 1000000 {
			c.Errorf("%+v", h)
		}
	}},
	{"handshake/polling/fails with an invalid 'EIO' query parameter", func(c *client) {
		for _, q := range []string{"", "EIO=abc&", "EIO=5&", "EIO=44&", "EIO=&"} {
			c.request("GET", "http://"+c.addr+"/engine.io/?"+q+"transport=polling", "").want(c.T, 400, unsupported)
		}
	}},
	{"handshake/polling/fails with an invalid 'transport' query parameter", func(c *client) {
		for _, q := range []string{"", "&transport=abc", "&transport=webtransport"} {
			u := fmt.Sprintf("http://%s/engine.io/?EIO=%d%s", c.addr, c.version, q)
			c.request("GET", u, "").want(c.T, 400, unknownTransport)
		}
	}},
	{"handshake/polling/fails with an invalid request method", func(c *client) {
		c.post("").want(c.T, 400, badMethod)
		c.request("PUT", c.url("polling"), "").want(c.T, 400, badMethod)
	}},
	{"handshake/WebSocket/successfully opens a session", func(c *client) {
		s := c.ws()
		h := s.receiveHello()
		if h.SID == "" || h.Upgrades == nil || len(h.Upgrades) != 0 || !c.keepsTime(h) || h.MaxPayload != 1000000 {
			c.Errorf("%+v", h)
		}
		s.bye()
		c.expect("open", "close: transport close")
	}},
	{"handshake/WebSocket/fails with an invalid 'EIO' query parameter", func(c *client) {
		c.refuseWS("transport=websocket")
		c.refuseWS("EIO=abc&transport=websocket")
	}},
	{"handshake/WebSocket/fails with an invalid 'transport' query parameter", func(c *client) {
		c.refuseWS(fmt.Sprintf("EIO=%d", c.version))
		c.refuseWS(fmt.Sprintf("EIO=%d&transport=abc", c.version))
	}},
	{"message/polling/sends and receives a payload containing one plain text packet", func(c *client) {
		c.shake()
		c.post(c.join("4hello")).want(c.T, 200, "ok")
		c.get().want(c.T, 200, c.join("4hello"))
	}},
	{"message/polling/sends and receives a payload containing several plain text packets", func(c *client) {
		c.shake()
		c.post(c.join("4test1", "4test2", "4test3")).want(c.T, 200, "ok")
		c.get().want(c.T, 200, c.join("4test1", "4test2", "4test3"))
	}},
	{"message/polling/sends and receives a payload containing plain text and binary packets (base64 encoded)", func(c *client) {
		binary := "bAQIDBA=="
		if c.version == 3 {
			c.more = "&b64=1"
			binary = "b4AQIDBA=="
		}
		c.shake()
		c.more = "" // the handshake is enough
		c.post(c.join("4hello", binary)).want(c.T, 200, "ok")
		c.get().want(c.T, 200, c.join("4hello", binary))
	}},
	{"message/polling/sends and receives a payload containing plain text and binary packets (binary)", func(c *client) {
		c.shake()
		records := "\x00\x06\xff4hello\x01\x05\xff\x04\x01\x02\x03\x04"
		if c.version == 4 {
			c.post(records, "Content-Type", "application/octet-stream").want(c.T, 400, badRequest)
			c.expect("close: transport error")
			return
		}
		c.post(c.join("4hello", "b4AQIDBA==")).want(c.T, 200, "ok")
		a := c.get()
		a.want(c.T, 200, records)
		if a.header.Get("Content-Type") != "application/octet-stream" {
			c.Error(a.header)
		}
		c.post(records, "Content-Type", "application/octet-stream").want(c.T, 200, "ok")
		c.get().want(c.T, 200, records)
	}},
	{"message/polling/closes the session upon invalid packet format", func(c *client) {
		c.shake()
		c.post("abc").want(c.T, 400, badRequest)
		c.get().want(c.T, 400, unknownSession)
		c.expect("close: parse error")
	}},
	{"message/polling/closes the session upon duplicate poll requests", func(c *client) {
		c.shake()
		first := c.poll()
		c.get().want(c.T, 400, badRequest)
		(<-first).want(c.T, 200, c.join("1"))
		c.get().want(c.T, 400, unknownSession)
		c.expect("close: transport error")
	}},
	{"message/polling/closes the session upon cancelled polling request", func(c *client) {
		c.shake()
		ctx, cancel := context.WithCancel(context.Background())
		req, err := http.NewRequestWithContext(ctx, "GET", c.url("polling"), nil)
		if err != nil {
			c.Fatal(err)
		}
		cancelled := make(chan answer)
		go func() { cancelled <- c.do(req) }()
		c.settle(func() bool { return c.engine.Waiting(c.sid) })
		cancel()
		if a := <-cancelled; a.err == nil {
			c.Fatal(a)
		}
		if a := c.get(); a.status != 400 { // overlap or gone already, both are 400
			c.Fatal(a)
		}
		c.get().want(c.T, 400, unknownSession)
		c.expect("close: transport error")
	}},
	{"message/WebSocket/sends and receives a plain text packet", func(c *client) {
		s := c.ws()
		s.receiveHello()
		s.send("4hello")
		s.receive("4hello")
		s.bye()
	}},
	{"message/WebSocket/sends and receives a binary packet", func(c *client) {
		s := c.ws()
		s.receiveHello()
		b := []byte{1, 2, 3, 4}
		if c.version == 3 {
			b = append([]byte{4}, b...)
		}
		s.sendBinary(b...)
		s.receiveBinary(b...)
		s.bye()
	}},
	{"message/WebSocket/closes the session upon invalid packet format", func(c *client) {
		s := c.ws()
		s.receiveHello()
		s.send("abc")
		s.ended()
		c.expect("open", "close: parse error")
	}},
	{"heartbeat/polling/sends ping/pong packets", func(c *client) {
		c.shake()
		for range 3 {
			if c.version == 4 {
				c.get().want(c.T, 200, "2")
				c.post("3").want(c.T, 200, "ok")
			} else {
				c.post("1:2").want(c.T, 200, "ok")
				c.get().want(c.T, 200, "1:3")
			}
		}
	}},
	{"heartbeat/polling/closes the session upon ping timeout", func(c *client) {
		c.shake()
		c.expire(func() { c.get().want(c.T, 400, unknownSession) })
	}},
	{"heartbeat/polling/closes the session upon ping timeout (POST)", func(c *client) {
		c.shake()
		c.expire(func() { c.post(c.join("4late")).want(c.T, 400, unknownSession) })
	}},
	{"heartbeat/WebSocket/sends ping/pong packets", func(c *client) {
		s := c.ws()
		s.receiveHello()
		for range 3 {
			if c.version == 4 {
				s.receive("2")
				s.send("3")
			} else {
				s.send("2")
				s.receive("3")
			}
		}
		s.bye()
		c.expect("open", "close: transport close")
	}},
	{"heartbeat/WebSocket/closes the session upon ping timeout", func(c *client) {
		s := c.ws()
		s.ended()
		c.expect("open", "close: ping timeout")
	}},
	{"close/polling/forcefully closes the session", func(c *client) {
		c.shake()
		waiting := c.poll()
		c.post(c.join("1")).want(c.T, 200, "ok")
		(<-waiting).want(c.T, 200, c.join("6"))
		c.get().want(c.T, 400, unknownSession)
		c.expect("close: transport close")
	}},
	{"close/polling/forcefully closes the session, the poll comes later", func(c *client) {
		c.shake()
		c.post(c.join("1")).want(c.T, 200, "ok")
		c.expect("close: transport close")
		c.get().want(c.T, 200, c.join("6"))
		c.get().want(c.T, 400, unknownSession)
	}},
	{"close/WebSocket/forcefully closes the session", func(c *client) {
		s := c.ws()
		s.receiveHello()
		s.send("1")
		s.ended()
		c.expect("open", "close: transport close")
	}},
	{"upgrade/successfully upgrades from HTTP long-polling to WebSocket", func(c *client) {
		c.shake()
		s := c.ws()
		s.send("2probe")
		s.receive("3probe")
		c.get().want(c.T, 200, c.join("6"))
		s.send("5")
		s.send("4hello")
		s.receive("4hello")
		s.bye()
		c.expect("close: transport close")
	}},
	{"upgrade/ends the poll that waits", func(c *client) {
		c.shake()
		waiting := c.poll()
		s := c.ws()
		s.send("2probe")
		s.receive("3probe")
		(<-waiting).want(c.T, 200, c.join("6"))
		s.send("5")
		s.send("4hello")
		s.receive("4hello")
		s.bye()
	}},
	{"upgrade/ignores HTTP requests with same sid after upgrade", func(c *client) {
		c.shake()
		s := c.upgrade()
		c.get().want(c.T, 400, badRequest) // whether or not the upgrade packet has arrived
		c.post(c.join("4no")).want(c.T, 400, badRequest)
		s.send("4hello")
		s.receive("4hello")
		s.bye()
	}},
	{"upgrade/ignores WebSocket connection with same sid after upgrade", func(c *client) {
		c.shake()
		s := c.upgrade()
		second := c.ws()
		var closed *websocket.CloseError
		if err := second.ended(); !errors.As(err, &closed) {
			c.Errorf("the second WebSocket: %v", err)
		}
		s.send("4hello")
		s.receive("4hello")
		s.bye()
	}},
}

func TestSuite(t *testing.T) {
	for _, version := range []int{4, 3} {
		for _, tt := range suite {
			t.Run(fmt.Sprintf("v%d/%s", version, tt.name), func(t *testing.T) {
				test := func(t *testing.T, w *world) { tt.test(&client{world: w, version: version}) }
				if !strings.HasSuffix(tt.name, "the poll comes later") { // it has a second
					t.Run("tcp", func(t *testing.T) {
						t.Parallel()
						overTCP(t, slowed(tt.name), test)
					})
				}
				t.Run("pipe", func(t *testing.T) { inBubble(t, options(), test) })
			})
		}
	}
}

// slowed is the clock of a case over TCP: there it runs only where it is what
// the case is about, and out only where the client is to be late.
func slowed(name string) engineio.Options {
	o := options()
	switch {
	case strings.Contains(name, "ping timeout"):
	case strings.HasPrefix(name, "heartbeat/"):
		o.PingTimeout = patience
	default:
		o.PingInterval, o.PingTimeout = patience, patience
	}
	return o
}

// keepsTime reports whether the client is told the clock of the server, which
// in a bubble is that of the suites.
func (c *client) keepsTime(h hello) bool {
	if c.bubble && (h.PingInterval != 300 || h.PingTimeout != 200) {
		return false
	}
	return h.PingInterval == int(c.opts.PingInterval.Milliseconds()) && h.PingTimeout == int(c.opts.PingTimeout.Milliseconds())
}

// expire lets the time of the client run out and then asks. In a bubble that is
// to the moment: a coarse timer is too late. Over TCP a server that was asleep
// gives a client more time.
func (c *client) expire(ask func()) {
	c.Helper()
	if !c.bubble {
		c.expect("close: ping timeout")
		ask()
		return
	}
	<-time.After(pingInterval + pingTimeout)
	ask()
	c.expect("close: ping timeout")
}

// shake begins the client's polling session.
func (c *client) shake() {
	c.Helper()
	c.sid = c.open(c.version, c.more).sid
}

// refuseWS checks that a WebSocket with this query is refused.
func (w *world) refuseWS(query string) {
	w.Helper()
	s, err := w.dialWS("http://"+w.addr+"/engine.io/?"+query, nil)
	var refused *websocket.HandshakeError
	if err == nil {
		s.Close()
	}
	if !errors.As(err, &refused) || refused.Status != 400 {
		w.Errorf("%s: %v", query, err)
	}
}
