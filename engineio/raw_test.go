package engineio_test

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/websocket"
)

// rawPayloads are messages whose frames have every form of header.
func rawPayloads() []string {
	return []string{"a", "é☃😀 x", strings.Repeat("m", 200), "", strings.Repeat("L", 70_000), "z"}
}

func frames(payloads []string) []byte {
	var b []byte
	for _, p := range payloads {
		b = engineio.AppendFrame(b, []byte(p))
	}
	return b
}

func packets(payloads []string) []string {
	var all []string
	for _, p := range payloads {
		all = append(all, "4"+p)
	}
	return all
}

// writeRaw writes all of b with TryWrite as the hub does: what was not
// taken is written again after waiting.
func writeRaw(s *engineio.Socket, b []byte) error {
	for len(b) > 0 {
		n, err := s.TryWrite(net.Buffers{b[:len(b)/2], b[len(b)/2:]})
		if err != nil {
			return err
		}
		if b = b[n:]; len(b) > 0 {
			if err := s.WaitWritable(patience); err != nil {
				return err
			}
		}
	}
	return nil
}

// Frames cut at every byte arrive whole, in every transport and framing.
func TestRawCutEverywhere(t *testing.T) {
	payloads := []string{"a", "é☃😀", strings.Repeat("m", 130), ""}
	stream := frames(payloads)
	for _, transport := range []string{"polling", "websocket"} {
		for _, version := range []int{4, 3} {
			t.Run(fmt.Sprintf("%s v%d", transport, version), func(t *testing.T) {
				both(t, engineio.Options{}, func(t *testing.T, w *world) {
					c := &client{world: w, version: version}
					var receive func()
					if transport == "websocket" {
						ws := c.ws()
						c.sid = ws.receiveHello().SID
						w.expect("open")
						defer ws.bye()
						receive = func() {
							for _, p := range packets(payloads) {
								ws.receive(p)
							}
						}
					} else {
						c.shake()
						receive = func() {
							var got []string
							for len(got) < len(payloads) {
								got = append(got, c.split(c.get().body)...)
							}
							if !slices.Equal(got, packets(payloads)) {
								w.Fatalf("got %q", got)
							}
						}
					}
					s := w.engine.Find(c.sid)
					for cut := range len(stream) {
						for _, part := range [][]byte{stream[:cut], stream[cut:]} {
							if err := writeRaw(s, part); err != nil {
								t.Fatal(err)
							}
						}
						receive()
					}
				})
			})
		}
	}
}

// Frames with every form of header, in pieces of all sizes.
func TestRawHeaders(t *testing.T) {
	payloads := rawPayloads()
	for _, version := range []int{4, 3} {
		both(t, engineio.Options{}, func(t *testing.T, w *world) {
			c := &client{world: w, version: version}
			ws := c.ws()
			s := w.engine.Find(ws.receiveHello().SID)
			for _, piece := range []int{1 << 20, 4099, 1001} {
				wrote := make(chan error, 1)
				go func() {
					for p := range slices.Chunk(frames(payloads), piece) {
						if err := writeRaw(s, p); err != nil {
							wrote <- err
							return
						}
					}
					wrote <- nil
				}()
				for _, p := range packets(payloads) {
					ws.receive(p)
				}
				if err := <-wrote; err != nil {
					t.Fatal(err)
				}
			}
			ws.bye()
		})
	}
}

// A poll in the middle of a frame takes what is whole.
func TestRawPollMeetsCutFrame(t *testing.T) {
	inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
		c := w.open(4)
		s := w.engine.Find(c.sid)
		stream := frames([]string{"one", "two"})
		if err := writeRaw(s, stream[:len(stream)-1]); err != nil {
			t.Fatal(err)
		}
		c.get().want(t, 200, "4one")
		waiting := c.poll()
		if err := writeRaw(s, stream[len(stream)-1:]); err != nil {
			t.Fatal(err)
		}
		(<-waiting).want(t, 200, "4two")
	})
}

// A stream goes on while the session moves from polling to WebSocket, wherever
// a frame is cut at that moment: nothing is lost, doubled or reordered.
func TestRawAcrossUpgrade(t *testing.T) {
	payloads := []string{"first", strings.Repeat("m", 130), "last"}
	stream := frames(payloads)
	for _, version := range []int{4, 3} {
		t.Run(fmt.Sprint("v", version), func(t *testing.T) {
			both(t, engineio.Options{}, func(t *testing.T, w *world) {
				for cut := range len(stream) + 1 {
					c := w.open(version)
					s := w.engine.Find(c.sid)
					if err := writeRaw(s, stream[:cut]); err != nil {
						t.Fatal(err)
					}
					ws := c.upgrade()
					ws.send("4sync") // its echo would come between frames; it is received last
					w.settle(func() bool { return s.Transport() == "websocket" })
					if err := writeRaw(s, stream[cut:]); err != nil {
						t.Fatal(err)
					}
					var got []string
					for len(got) < len(payloads)+1 {
						_, p, err := ws.ReadMessage(1 << 20)
						if err != nil {
							t.Fatal(err)
						}
						got = append(got, string(p))
					}
					if i := slices.Index(got, "4sync"); i < 0 {
						t.Fatalf("cut at %d: no echo in %q", cut, got)
					} else if got = slices.Delete(got, i, i+1); !slices.Equal(got, packets(payloads)) {
						t.Fatalf("cut at %d: %q", cut, got)
					}
					ws.bye()
					w.expect("close: transport close")
				}
			})
		})
	}
}

// The same with a writer that does not stop and polls that take a part before.
func TestRawStreamAcrossUpgrade(t *testing.T) {
	const messages = 3000
	for _, version := range []int{4, 3} {
		t.Run(fmt.Sprint("v", version), func(t *testing.T) {
			t.Parallel()
			overTCP(t, engineio.Options{MaxQueued: 4 << 10}, func(t *testing.T, w *world) {
				c := w.open(version)
				s := w.engine.Find(c.sid)
				var writer sync.WaitGroup
				writer.Go(func() {
					var b []byte
					for i := range messages {
						b = engineio.AppendFrame(b, fmt.Appendf(nil, "%d é", i))
						if len(b) > 100+i%37 { // ends inside a frame
							n := len(b) - i%7
							if err := writeRaw(s, b[:n]); err != nil {
								t.Error(err)
								return
							}
							b = slices.Delete(b, 0, n)
						}
					}
					if err := writeRaw(s, b); err != nil {
						t.Error(err)
					}
				})
				next := 0
				check := func(packet string) {
					if want := fmt.Sprintf("4%d é", next); packet != want {
						t.Fatalf("got %q, want %q", packet, want)
					}
					next++
				}
				for next < messages/10 {
					for _, p := range c.split(c.get().body) {
						check(p)
					}
				}
				ws := c.ws()
				ws.send("2probe")
				ws.receive("3probe")
				for _, p := range c.split(c.get().body) {
					if p != "6" {
						check(p)
					}
				}
				ws.send("5")
				for next < messages {
					_, p, err := ws.ReadMessage(1 << 20)
					if err != nil {
						t.Fatal(err)
					}
					check(string(p))
				}
				writer.Wait()
				ws.bye()
			})
		})
	}
}

// Heartbeats and pongs go between the frames of a stream, never inside one.
func TestOwnFramesBetweenRawFrames(t *testing.T) {
	t.Run("tcp", func(t *testing.T) {
		t.Parallel()
		// Time to begin a frame before the ping, and to answer it.
		overTCP(t, engineio.Options{PingInterval: 2 * time.Second, PingTimeout: patience}, ownFramesBetweenRawFrames)
	})
	t.Run("pipe", func(t *testing.T) { inBubble(t, options(), ownFramesBetweenRawFrames) })
}

func ownFramesBetweenRawFrames(t *testing.T, w *world) {
	c := &client{world: w, version: 4}
	ws := c.ws()
	s := w.engine.Find(ws.receiveHello().SID)
	pong := make(chan bool, 1)
	ws.OnPong = func() { pong <- true }
	stream := frames([]string{"one", "two"})
	if err := writeRaw(s, stream[:3]); err != nil {
		t.Fatal(err)
	}
	if err := ws.WriteMessage(websocket.Ping, []byte("x")); err != nil {
		t.Fatal(err)
	}
	w.settle(func() bool { return s.Held() > 0 }) // the pong waits
	<-time.After(w.opts.PingInterval + 2*w.engine.Tick())
	w.settle(s.Pinged)
	if err := writeRaw(s, stream[3:]); err != nil { // the ping waits as well
		t.Fatal(err)
	}
	ws.receive("4one")
	ws.receive("2")
	<-pong
	ws.receive("4two")
	ws.send("3")
	ws.bye()
}

// What is not a text frame is refused, whatever the transport.
func TestRawRefusesOtherFrames(t *testing.T) {
	for name, b := range map[string][]byte{
		"binary":   websocket.AppendHeader(nil, websocket.Binary, 0),
		"fragment": {0x01, 0},
		"masked":   {0x81, 0x80, 0, 0, 0, 0},
		"endless":  {0x81, 127, 255, 255, 255, 255, 255, 255, 255, 255},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
				c := w.open(4)
				if n, err := w.engine.Find(c.sid).TryWrite(net.Buffers{b}); n != 0 || err != engineio.ErrFrame {
					t.Errorf("polling: %d, %v", n, err)
				}
			})
		})
	}
}

// Close in the middle of a frame sends no close frame; between frames it does.
func TestCloseMeetsRawFrame(t *testing.T) {
	stream := frames([]string{"hello"})
	for cut := range len(stream) + 1 {
		inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
			c := &client{world: w, version: 4}
			ws := c.ws()
			s := w.engine.Find(ws.receiveHello().SID)
			if err := writeRaw(s, stream[:cut]); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			s.Close("")
			_, p, err := ws.ReadMessage(100)
			if cut == len(stream) {
				if string(p) != "4hello" {
					t.Fatal(p, err)
				}
				_, _, err = ws.ReadMessage(100)
			}
			var closed *websocket.CloseError
			if whole := cut == 0 || cut == len(stream); errors.As(err, &closed) != whole {
				t.Errorf("cut at %d: %v", cut, err)
			}
			ws.Close()
			w.expect("open", "close: forced close")
		})
	}
}
