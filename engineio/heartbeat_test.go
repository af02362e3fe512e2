package engineio_test

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/engineio"
)

// A session without requests expires: handshaken and never polled, or polled no
// more.
func TestAbandonedSessions(t *testing.T) {
	for _, version := range []int{4, 3} {
		inBubble(t, options(), func(t *testing.T, w *world) {
			begin := time.Now()
			w.open(version)
			w.expect("close: ping timeout")
			if d := time.Since(begin); d < pingInterval+pingTimeout || d > pingInterval+pingTimeout+2*w.engine.Tick() {
				t.Errorf("v%d: never polled, ended after %v", version, d)
			}
			c := w.open(version)
			c.post(c.join("4x")).want(t, 200, "ok")
			c.get().want(t, 200, c.join("4x"))
			w.expect("close: ping timeout")
			if s := w.engine.Stats(); s.Sockets != 0 || s.Expired != 2 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A poll that waits is answered when its session expires.
func TestPollMeetsTimeout(t *testing.T) {
	for _, version := range []int{4, 3} {
		inBubble(t, options(), func(t *testing.T, w *world) {
			c := w.open(version)
			if version == 4 {
				c.get().want(t, 200, "2")
			}
			c.get().want(t, 200, c.join("1"))
			w.expect("close: ping timeout")
		})
	}
}

// Protocol 4: any packet extends the deadline of an outstanding pong, once.
func TestPongMayBeLate(t *testing.T) {
	inBubble(t, options(), func(t *testing.T, w *world) {
		ws := (&client{world: w, version: 4}).ws()
		ws.receiveHello()
		for range 3 {
			ws.receive("2")
			for range 2 {
				<-time.After(pingTimeout - 20*time.Millisecond)
				ws.send("4large")
				ws.receive("4large")
			}
			<-time.After(10 * time.Millisecond)
			ws.send("3")
		}
		ws.receive("2")
		for range 2 {
			<-time.After(pingTimeout - 20*time.Millisecond)
			ws.send("6")
		}
		ws.ended() // twice is too much
		w.expect("open", "close: ping timeout")
	})
}

// Pings come at their interval, also one that is shorter than the time for the
// answer.
func TestPingsMeetLongTimeout(t *testing.T) {
	o := engineio.Options{PingInterval: time.Second, PingTimeout: time.Minute}
	inBubble(t, o, func(t *testing.T, w *world) {
		begin := time.Now()
		ws := (&client{world: w, version: 4}).ws()
		ws.receiveHello()
		for range 20 {
			ws.receive("2")
			ws.send("3")
		}
		if d := time.Since(begin); d < 20*time.Second || d > 20*(time.Second+2*w.engine.Tick()) {
			t.Errorf("20 pings took %v", d)
		}
		ws.receive("2")
		ws.ended() // this one is not answered
		if d := time.Since(begin); d < 81*time.Second || d > 82*time.Second+2*w.engine.Tick() {
			t.Errorf("ended after %v", d)
		}
		w.expect("open", "close: ping timeout")
	})
}

// Heartbeats go on over all transports for as long as the client answers.
func TestLongLives(t *testing.T) {
	for _, version := range []int{4, 3} {
		inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
			c := w.open(version)
			var got int
			end := time.Now().Add(10 * time.Minute)
			for time.Now().Before(end) {
				if version == 4 {
					c.get().want(t, 200, "2")
					c.post("3").want(t, 200, "ok")
				} else {
					<-time.After(25 * time.Second)
					c.post("1:2").want(t, 200, "ok")
					c.get().want(t, 200, "1:3")
				}
				got++
			}
			if got < 23 || got > 25 {
				t.Errorf("%d heartbeats in 10 minutes", got)
			}
			w.quiet()
		})
	}
}

// A queue that is full keeps no heartbeat back.
func TestHeartbeatsMeetFullQueue(t *testing.T) {
	for _, version := range []int{4, 3} {
		o := options()
		o.MaxQueued = 100
		inBubble(t, o, func(t *testing.T, w *world) {
			c := w.open(version)
			full := engineio.AppendFrame(nil, make([]byte, 1000))
			if n, err := w.engine.Find(c.sid).TryWrite(net.Buffers{full, full}); n != len(full) || err != nil {
				t.Fatal(n, err)
			}
			want := "2"
			if version == 4 {
				<-time.After(pingInterval + 2*w.engine.Tick())
			} else {
				c.post("1:2").want(t, 200, "ok")
				want = "3"
			}
			if got := c.split(c.get().body); len(got) != 2 || got[1] != want {
				t.Errorf("%d packets, the last %q", len(got), got[len(got)-1])
			}
		})
	}
}

// Many sockets with different deadlines on one wheel: each ends in time.
func TestWheelKeepsDeadlines(t *testing.T) {
	inBubble(t, engineio.Options{PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second}, func(t *testing.T, w *world) {
		var mu sync.Mutex
		born := map[*engineio.Socket]time.Time{}
		ended := 0
		w.rec.onOpen = func(s *engineio.Socket) {
			mu.Lock()
			defer mu.Unlock()
			born[s] = time.Now()
		}
		w.rec.onClose = func(s *engineio.Socket) {
			mu.Lock()
			defer mu.Unlock()
			ended++
			if d := time.Since(born[s]); d < 45*time.Second || d > 45*time.Second+2*w.engine.Tick() {
				t.Errorf("ended after %v", d)
			}
		}
		for i := range 300 {
			w.open(3 + i%2)
			<-time.After(time.Duration(i%13) * 19 * time.Millisecond)
		}
		<-time.After(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if s := w.engine.Stats(); ended != 300 || s.Sockets != 0 {
			t.Errorf("%d ended, %+v", ended, s)
		}
		w.rec.drain()
	})
}
