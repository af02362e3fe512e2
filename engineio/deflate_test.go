package engineio_test

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/websocket"
)

// What is written with Send and TryWrite is compressed for sessions that agreed on it, and
// only those take compressed frames.
func TestDeflate(t *testing.T) {
	long := strings.Repeat("a word or two ", 50)
	packed := websocket.DeflateFrame(engineio.AppendFrame(nil, []byte(long)), 0)
	both(t, engineio.Options{Deflate: true}, func(t *testing.T, w *world) {
		for _, version := range []int{4, 3} {
			ws := w.deflating(&client{world: w, version: version})
			s := w.engine.Find(ws.receiveHello().SID)
			w.expect("open")
			if !ws.Deflate() || !s.Deflates() {
				t.Fatal("compression was not agreed on")
			}
			for cut := range packed { // raw frames, compressed and not, cut everywhere
				if err := errors.Join(writeRaw(s, packed[:cut]), writeRaw(s, packed[cut:]), writeRaw(s, engineio.AppendFrame(nil, []byte("short")))); err != nil {
					t.Fatal(err)
				}
				ws.receive("4" + long)
				ws.receive("4short")
			}
			ws.send("4" + long) // comes back by Send
			ws.receive("4" + long)
			if version == 4 {
				ws.sendBinary([]byte(long)...)
				ws.receiveBinary([]byte(long)...)
			}
			ws.bye()
			w.expect("close: transport close")
		}

		plain := (&client{world: w, version: 4}).ws()
		s := w.engine.Find(plain.receiveHello().SID)
		if _, err := s.TryWrite(net.Buffers{packed}); s.Deflates() || err != engineio.ErrFrame {
			t.Errorf("a compressed frame without agreement: %v", err)
		}
		if upgraded := w.deflating(w.open(4)); upgraded.Deflate() {
			t.Error("a session that began by polling compresses")
		}
	})
}

// A compressed message may not become larger than MaxPayload.
func TestDeflateBomb(t *testing.T) {
	both(t, engineio.Options{Deflate: true, MaxPayload: 10_000}, func(t *testing.T, w *world) {
		ws := w.deflating(&client{world: w, version: 4})
		ws.receiveHello()
		ws.send("4" + strings.Repeat(" ", 10_000))
		if err := ws.ended(); err.(*websocket.CloseError).Code != websocket.CodeTooLarge {
			t.Error(err)
		}
		w.expect("open", "close: transport error")
	})
}
