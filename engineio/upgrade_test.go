package engineio_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/websocket"
)

// A WebSocket that is opened for a session and does not go on is given up; the
// session stays as it was and can try again.
func TestProbeGivesUp(t *testing.T) {
	o := engineio.Options{UpgradeTimeout: time.Second}
	for name, say := range map[string][]string{
		"nothing": nil, "only the probe": {"2probe"}, "a message": {"4hello"}, "a message after the probe": {"2probe", "4hello"},
		"no probe": {"2"}, "upgrade first": {"5"}, "too much": {"2probe" + strings.Repeat("x", 100)},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, o, func(t *testing.T, w *world) {
				c := w.open(4)
				ws := c.ws()
				for _, p := range say {
					ws.send(p)
					if p == "2probe" {
						ws.receive("3probe")
					}
				}
				var closed *websocket.CloseError
				if err := ws.ended(); !errors.As(err, &closed) {
					t.Error(err)
				}
				c.post("4on").want(t, 200, "ok")
				c.get().want(t, 200, "4on")
				ws = c.upgrade()
				ws.send("4again")
				ws.receive("4again")
				ws.bye()
				w.expect("close: transport close")
			})
		})
	}
}

// Between probe and upgrade packet a poll is held for a moment, then answered;
// what is queued is answered at once.
func TestPollWhileProbing(t *testing.T) {
	inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
		c := w.open(4)
		ws := c.ws()
		ws.send("2probe")
		ws.receive("3probe")
		begin := time.Now()
		c.get().want(t, 200, "6")
		if d := time.Since(begin); d != engineio.ProbeHold {
			t.Errorf("held for %v", d)
		}
		held := c.poll()
		c.post("4now").want(t, 200, "ok")
		(<-held).want(t, 200, "4now")
		if time.Since(begin) != engineio.ProbeHold {
			t.Error("a message was held back")
		}
		held = c.poll()
		ws.send("5")
		(<-held).want(t, 400, badRequest)
		ws.bye()
	})
}

// Two polls at once, in front of an upgrade packet that was sent before them, do
// not end the session, nor if it comes a little too late for both.
func TestPollsOvertakeUpgrade(t *testing.T) {
	inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
		c := w.open(4)
		ws := c.ws()
		ws.send("2probe")
		ws.receive("3probe")
		begin := time.Now()
		one := c.poll()
		synctest.Wait()
		two := c.poll()
		synctest.Wait()
		(<-one).want(t, 200, "6")
		(<-two).want(t, 200, "6")
		if d := time.Since(begin); d != 2*engineio.ProbeHold {
			t.Errorf("held for %v", d)
		}
		one = c.poll()
		synctest.Wait()
		two = c.poll()
		synctest.Wait()
		ws.send("5")
		(<-one).want(t, 400, badRequest)
		(<-two).want(t, 400, badRequest)
		ws.send("4hello")
		ws.receive("4hello")
		ws.bye()
	})
}

// The same as it happens: which of the three the server looks at first is chance.
func TestPollsBehindUpgrade(t *testing.T) {
	overTCP(t, engineio.Options{}, func(t *testing.T, w *world) {
		for range 500 {
			c := w.open(4)
			ws := c.ws()
			ws.send("2probe")
			ws.receive("3probe")
			ws.send("5")
			var polls sync.WaitGroup
			for range 2 {
				polls.Go(func() {
					if a := c.get(); a.err != nil || a.status != 400 && a.body != "6" { // a noop if the packet comes very late
						t.Errorf("a poll behind the upgrade: %v", a)
					}
				})
			}
			polls.Wait()
			ws.send("4hello")
			ws.receive("4hello")
			ws.bye()
			w.expect("close: transport close")
		}
	})
}

// Messages from a POST that is being handled and from the WebSocket that takes
// over meanwhile are handled one after the other and in order.
func TestHandlerIsNeverCalledTwice(t *testing.T) {
	both(t, engineio.Options{}, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var got []string
		entered, proceed := make(chan bool, 10), make(chan bool)
		w.rec.onMessage = func(s *engineio.Socket, m engineio.Message) {
			if !mu.TryLock() {
				t.Error("two calls at a time")
				return
			}
			defer mu.Unlock()
			got = append(got, string(m.Data))
			entered <- true
			<-proceed
		}
		c := w.open(4)
		ws := c.ws()
		ws.send("2probe")
		ws.receive("3probe")
		c.post("4one\x1e4two").want(t, 200, "ok")
		<-entered
		ws.send("5")
		said := make(chan bool)
		go func() { // it is not read while the POST is handled
			defer close(said)
			ws.send("4three")
		}()
		for range 2 {
			proceed <- true
			<-entered
		}
		proceed <- true
		<-said
		ws.bye()
		w.expect("close: transport close")
		if fmt.Sprint(got) != "[one two three]" {
			t.Error(got)
		}
	})
}

// A handler that waits until the client has read what it was sent before waits for nothing
// that an upgrade holds up. Stock clients that have got the pong of a probe read nothing more
// before their body is answered.
func TestHandlerWaitsForTheClientToRead(t *testing.T) {
	answers := func(w *world) (read chan bool) {
		read = make(chan bool)
		w.rec.onMessage = func(s *engineio.Socket, m engineio.Message) {
			if err := s.Send(engineio.Message{Data: []byte("re: " + string(m.Data))}); err != nil {
				t.Error(err)
			}
			<-read
		}
		return read
	}
	t.Run("of a body before the probe", func(t *testing.T) {
		both(t, engineio.Options{}, func(t *testing.T, w *world) {
			read, c := answers(w), w.open(4)
			poll, posted := c.poll(), make(chan answer, 1)
			go func() { posted <- c.post("4one\x1e4two") }()
			(<-poll).want(t, 200, "4re: one")
			poll = c.poll()
			ws := c.ws()
			ws.send("2probe")
			read <- true
			(<-poll).want(t, 200, "4re: two") // no noop, behind which the client would not poll
			poll = c.poll()
			read <- true
			(<-posted).want(t, 200, "ok")
			ws.receive("3probe")
			(<-poll).want(t, 200, "6")
			ws.send("5")
			ws.bye()
		})
	})
	t.Run("of a body behind the pong", func(t *testing.T) {
		both(t, engineio.Options{}, func(t *testing.T, w *world) {
			read, c := answers(w), w.open(4)
			poll, ws := c.poll(), c.ws()
			ws.send("2probe")
			ws.receive("3probe")
			(<-poll).want(t, 200, "6")
			c.post("4one\x1e4two").want(t, 200, "ok")
			ws.send("5")
			for _, want := range []string{"4re: one", "4re: two"} {
				ws.receive(want)
				read <- true
			}
			ws.bye()
		})
	})
}

// A body that is handled for longer than a probe may take leaves the session as it was, and
// the end of the session ends the wait.
func TestProbeWaitsForBody(t *testing.T) {
	for name, ends := range map[string]bool{"until it gives up": false, "until the session ends": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, engineio.Options{UpgradeTimeout: time.Second}, func(t *testing.T, w *world) {
				proceed := make(chan bool)
				var socket *engineio.Socket
				entered := make(chan bool)
				w.rec.onMessage = func(s *engineio.Socket, m engineio.Message) {
					socket = s
					entered <- true
					<-proceed
				}
				c := w.open(4)
				posted := make(chan answer, 1)
				go func() { posted <- c.post("4one") }()
				<-entered
				ws := c.ws()
				ws.send("2probe")
				synctest.Wait()
				begin, most := time.Now(), time.Second
				if ends {
					most = 0
					socket.Close("")
				}
				if ws.ended(); time.Since(begin) > most {
					t.Errorf("it waits for %v", time.Since(begin))
				}
				proceed <- true
				(<-posted).want(t, 200, "ok")
			})
		})
	}
}

// A POST whose body comes after the WebSocket has taken over is refused whole.
func TestPostMeetsUpgrade(t *testing.T) {
	inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
		c := w.open(4)
		nc, err := w.dial(context.Background(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		fmt.Fprintf(nc, "POST /?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n4ab", c.sid)
		synctest.Wait()
		ws := c.upgrade()
		ws.send("4hello")
		ws.receive("4hello")
		fmt.Fprint(nc, "cd")
		line := make([]byte, len("HTTP/1.1 400"))
		if _, err := nc.Read(line); err != nil || string(line) != "HTTP/1.1 400" {
			t.Fatalf("%q %v", line, err)
		}
		ws.send("4still")
		ws.receive("4still")
		ws.bye()
	})
}
