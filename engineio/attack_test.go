package engineio_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/websocket"
)

// Regressions of published vulnerabilities of other servers of these
// protocols: after each, the server has to be as well as before.

// well checks that the server still serves.
func (w *world) well() {
	w.Helper()
	c := &client{world: w, version: 4}
	c.sid = w.parseHello(c.get().body).SID
	c.post("4well").want(w.T, 200, "ok")
	c.get().want(w.T, 200, "4well")
}

// counted counts what was read of an endless body.
type counted struct{ n atomic.Int64 }

func (c *counted) Read(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// CVE-2020-36048, CVE-2020-36049: bodies that are too large, and many tiny packets.
func TestAttackLargeBodies(t *testing.T) {
	both(t, engineio.Options{MaxPayload: 100_000}, func(t *testing.T, w *world) {
		c := w.open(4)
		const refused = ""
		req, _ := http.NewRequest("POST", c.url("polling"), io.MultiReader(strings.NewReader("4"), io.LimitReader(new(counted), 100<<20)))
		req.ContentLength = 1 + 100<<20
		if a := w.do(req); a.err == nil { // the client may find the connection closed while it writes
			a.want(t, 413, refused)
		}
		endless := new(counted)
		req, _ = http.NewRequest("POST", c.url("polling"), endless)
		if a := w.do(req); a.err == nil {
			a.want(t, 413, refused)
		}
		if n := endless.n.Load(); n > 8<<20 {
			t.Errorf("%d bytes of an endless body were read", n)
		}
		c.post("4"+strings.Repeat("x", 99_999)).want(t, 200, "ok") // the session has not suffered
		if a := c.get(); a.status != 200 || len(a.body) != 100_000 {
			t.Error(a.status, len(a.body))
		}

		begin := time.Now()
		tiny := w.open(3)
		tiny.post(strings.Repeat("1:6", 33_000)).want(t, 400, badRequest)
		w.expect("close: parse error")
		c.post(strings.Repeat("\x1e", 99_000)).want(t, 400, badRequest)
		if d := time.Since(begin); d > 5*time.Second {
			t.Errorf("took %v", d)
		}

		ws := (&client{world: w, version: 4}).ws()
		ws.receiveHello()
		head := binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, 100_001)
		if _, err := ws.NetConn().Write(append(head, 0, 0, 0, 0)); err != nil {
			t.Fatal(err)
		}
		var closed *websocket.CloseError
		if err := ws.ended(); !errors.As(err, &closed) || closed.Code != websocket.CodeTooLarge {
			t.Error(err)
		}
		w.well()
	})
}

// CVE-2022-21676 and the frame bombs of other servers: malformed frames, before
// and after the session is known.
func TestAttackFrames(t *testing.T) {
	masked := func(b0, b1 byte, rest ...byte) []byte { return append([]byte{b0, b1 | 0x80, 0, 0, 0, 0}, rest...) }
	long := func(n uint64) []byte {
		return append(binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, n), 0, 0, 0, 0)
	}
	for name, b := range map[string][]byte{
		"RSV1": masked(0xc1, 1, '4'), "RSV2": masked(0xa1, 1, '4'), "RSV3": masked(0x91, 1, '4'),
		"opcode 3": masked(0x83, 0), "opcode 15": masked(0x8f, 0),
		"unmasked": {0x81, 1, '4'}, "fragmented ping": masked(0x09, 0), "ping of 126": {0x89, 0xfe, 0, 126, 0, 0, 0, 0},
		"continuation of nothing": masked(0x80, 0), "2^63-1": long(1<<63 - 1), "2^63": long(1 << 63), "2^64-1": long(1<<64 - 1),
		"bad UTF-8": masked(0x81, 2, '4', 0xff), "half a close code": masked(0x88, 1, 3),
		"empty fragments": append(masked(0x01, 0), bytes.Repeat(masked(0x00, 0), 5000)...),
		"tiny fragments":  append(masked(0x01, 1, '4'), bytes.Repeat(masked(0x00, 1, 'x'), 5000)...),
	} {
		t.Run(name, func(t *testing.T) {
			overTCP(t, engineio.Options{}, func(t *testing.T, w *world) {
				c := &client{world: w, version: 4}
				ws := c.ws()
				ws.receiveHello()
				w.expect("open")
				ws.NetConn().Write(b) // may find it closed
				ws.ended()
				w.expect("close: transport error")

				c.shake()
				ws = c.ws()
				ws.NetConn().Write(b)
				ws.ended()
				c.post("4on").want(t, 200, "ok") // only the probe has ended
				c.get().want(t, 200, "4on")
			})
		})
	}
}

// CVE-2022-41940: a connection that is reset, at every byte of the handshake,
// the upgrade and the first frames.
func TestAttackReset(t *testing.T) {
	overTCP(t, engineio.Options{}, func(t *testing.T, w *world) {
		c := w.open(4)
		talk := fmt.Sprintf("GET /?EIO=4&transport=websocket&sid=%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n\x81\x86\x00\x00\x00\x002probe", c.sid)
		for cut := range len(talk) + 1 {
			for _, request := range []string{talk, strings.Replace(talk, "&sid="+c.sid, "", 1)} {
				nc, err := net.Dial("tcp", w.addr)
				if err != nil {
					t.Fatal(err)
				}
				io.WriteString(nc, request[:min(cut, len(request))])
				nc.(*net.TCPConn).SetLinger(0)
				nc.Close()
			}
		}
		for {
			a := c.post("4on")
			if a.want(t, 200, "ok"); w.engine.Stats().Sockets == 1 {
				break
			}
			c.get().want(t, 200, "4on")
		}
		w.rec.drain()
	})
}

// drain forgets what has happened.
func (r *recorder) drain() {
	for len(r.events) > 0 {
		<-r.events
	}
}

// CVE-2023-31125: every combination of parameters, known and unknown session,
// with and without an upgrade.
func TestAttackQueries(t *testing.T) {
	overTCP(t, engineio.Options{JSONP: true}, func(t *testing.T, w *world) {
		c := w.open(4)
		n := 0
		for _, eio := range []string{"", "EIO=3&", "EIO=4&", "EIO[]=4&", "EIO=__proto__&"} {
			for _, transport := range []string{"", "transport=polling&", "transport=websocket&", "transport=constructor&"} {
				for _, sid := range []string{"", "sid=&", "sid=" + c.sid + "&", "sid=__proto__&", "sid=%00&"} {
					for _, more := range []string{"", "b64=1", "j=0", "t=%ff"} {
						u := "http://" + w.addr + "/?" + eio + transport + sid + more
						if eio == "EIO=4&" && sid == "sid="+c.sid+"&" && transport == "transport=polling&" {
							continue // a poll that waits
						}
						if a := w.request("GET", u, ""); a.err != nil || a.status != 200 && a.status != 400 {
							t.Errorf("%s: %v", u, a)
						}
						if ws, err := w.dialWS(u, nil); err == nil {
							ws.bye()
						}
						n++
					}
				}
			}
		}
		if n < 390 {
			t.Errorf("only %d combinations", n)
		}
		c.post("4on").want(t, 200, "ok")
		c.get().want(t, 200, "4on")
		w.rec.drain()
	})
}

// CVE-2021-32640, CVE-2024-37890: header fields without end.
func TestAttackHeaders(t *testing.T) {
	overTCP(t, engineio.Options{}, func(t *testing.T, w *world) {
		c := &client{world: w, version: 4}
		many := http.Header{}
		for i := range 2000 {
			many.Set(fmt.Sprint("X-", i), "y")
		}
		large := http.Header{
			"Sec-WebSocket-Protocol":   {strings.Repeat("a ", 32<<10) + ","},
			"Sec-WebSocket-Extensions": {strings.Repeat("b;", 32<<10), strings.Repeat(`"`, 32<<10)},
		}
		begin := time.Now()
		for _, h := range []http.Header{many, large} {
			ws, err := w.dialWS(c.url("websocket"), h)
			if err != nil {
				t.Fatal(err)
			}
			ws.receiveHello()
			ws.bye()
			w.expect("open", "close: transport close")
		}
		if d := time.Since(begin); d > 5*time.Second {
			t.Errorf("took %v", d)
		}
	})
}

// CVE-2026-45736, CVE-2016-10518: close frames and pongs hold what they should
// and no memory of what was there before.
func TestAttackLeftovers(t *testing.T) {
	inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
		w.rec.onMessage = func(s *engineio.Socket, m engineio.Message) {
			s.Send(engineio.Message{Data: []byte(strings.Repeat("canary", 100))})
		}
		ws := (&client{world: w, version: 4}).ws()
		s := w.engine.Find(ws.receiveHello().SID)
		ws.send("4canary")
		ws.receive("4" + strings.Repeat("canary", 100))
		if err := ws.WriteMessage(websocket.Ping, []byte("hi")); err != nil {
			t.Fatal(err)
		}
		pong := make([]byte, 4)
		if _, err := io.ReadFull(ws.NetConn(), pong); err != nil || string(pong) != "\x8a\x02hi" {
			t.Fatalf("%q %v", pong, err)
		}
		s.Close("")
		end, err := io.ReadAll(io.LimitReader(ws.NetConn(), 4))
		if string(end) != "\x88\x02\x03\xe8" {
			t.Errorf("%q %v", end, err)
		}
		ws.Close()
	})
}

// A client that pings and does not read cannot make the server hold pongs
// without end.
func TestAttackPingFlood(t *testing.T) {
	const queued = 10_000
	overTCP(t, engineio.Options{MaxQueued: queued}, func(t *testing.T, w *world) {
		ws := (&client{world: w, version: 3}).ws()
		s := w.engine.Find(ws.receiveHello().SID)
		ws.NetConn().SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		ping := append([]byte{0x89, 0x80 | 125, 0, 0, 0, 0}, make([]byte, 125)...)
		flood := bytes.Repeat(ping, 1000)
		for range 200 {
			if _, err := ws.NetConn().Write(flood); err != nil {
				break
			}
		}
		if got := s.Held(); got > 4*queued {
			t.Errorf("%d bytes are held", got)
		}
		ws.Close()
		w.expect("open", "close: transport close")
	})
}
