package engineio_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/websocket"
)

// A body may hold much more than one packet may. Clients of Socket.IO before 4.5 put
// all that waits into one body.
func TestBodyOfManyPackets(t *testing.T) {
	packet := "4" + strings.Repeat("x", 99)
	var many []string
	for range 9 {
		many = append(many, packet)
	}
	for _, version := range []int{3, 4} {
		both(t, engineio.Options{MaxPayload: 100, MaxBody: 1000}, func(t *testing.T, w *world) {
			c := w.open(version)
			c.post(c.join(many...)).want(t, 200, "ok")
			c.get().want(t, 200, c.join(many...))

			c.post(c.join(packet+"xx")).want(t, 413, "") // one packet is too large
			w.expect("close: transport error")

			c = w.open(version)
			c.post(c.join(slices.Concat(many, []string{packet, packet})...)).want(t, 413, "") // all together are
			c.post("").want(t, 400, badRequest)                                               // the session went on until here
			w.expect("close: parse error")
		})
	}
}

// MaxBody is MaxPayload unless it is set.
func TestBodyLimitByDefault(t *testing.T) {
	inBubble(t, engineio.Options{MaxPayload: 100}, func(t *testing.T, w *world) {
		c := w.open(4)
		c.post("4"+strings.Repeat("x", 99)).want(t, 200, "ok")
		c.post("4"+strings.Repeat("x", 49)+"\x1e4"+strings.Repeat("x", 49)).want(t, 413, "")
	})
}

// A stranger's body is small, until the program trusts it.
func TestBodyOfStranger(t *testing.T) {
	inBubble(t, engineio.Options{MaxPayload: 100, MaxBody: 1000, Distrust: true}, func(t *testing.T, w *world) {
		w.rec.onMessage = func(s *engineio.Socket, m engineio.Message) { s.Trust() }
		c := w.open(4)
		large := strings.Repeat("4"+strings.Repeat("x", 99)+"\x1e", 5) + "4"
		c.post(large).want(t, 413, "")
		c.post("4hello").want(t, 200, "ok")
		c.post(large).want(t, 200, "ok")
	})
}

// A WebSocket message has the limit of a packet.
func TestMessageLimit(t *testing.T) {
	overTCP(t, engineio.Options{MaxPayload: 100, MaxBody: 1000}, func(t *testing.T, w *world) {
		ws := (&client{world: w, version: 4}).ws()
		ws.receiveHello()
		ws.send("4" + strings.Repeat("x", 100))
		if err, ok := ws.ended().(*websocket.CloseError); !ok || err.Code != websocket.CodeTooLarge {
			t.Error(err)
		}
		w.expect("open", "close: transport error")
	})
}
