package hub

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
)

func TestPartialWritesAtEveryByte(t *testing.T) {
	private := "private 1\nprivate 2\n"
	rooms := lines("a", 1, 30) + lines("b", 1, 2)
	want := private + rooms + "last\n" + lines("a", 31, 31) + lines("b", 3, 3)
	for k := range len(private + rooms) {
		inBubble(t, Config{Workers: 1, RoomLogBytes: 4 << 10}, func(h *harness) {
			c, l := h.conn(k)
			h.join(c, "a", 0)
			h.join(c, "b", 0)
			c.SendLater([]byte("private 1\n"))
			c.SendLater([]byte("private 2\n"))
			h.commit(bus.RoomEvents{Room: "a", Events: events("a", 1, 30)}, bus.RoomEvents{Room: "b", Events: events("b", 1, 2)})
			synctest.Wait()
			c.Send([]byte("last\n"))
			h.publish("b", events("b", 3, 3)...)
			h.publish("a", events("a", 31, 31)...)
			synctest.Wait()
			got := l.read()
			if len(got) != k {
				t.Fatalf("took %d bytes, allowed %d", len(got), k)
			}
			l.let(3)
			synctest.Wait()
			l.let(-1)
			synctest.Wait()
			got += l.read()
			c.Detach()
			if !sameStreams(got, want) {
				t.Fatalf("cut at %d: %q", k, got)
			}
		})
	}
}

// sameStreams compares the frames of each room, and of private ones, in order.
// How rooms and private frames mix is free; frames are whole.
func sameStreams(a, b string) bool {
	split := func(s string) map[string]string {
		out := map[string]string{}
		for l := range strings.Lines(s) {
			key := "private"
			if len(l) > 4 && l[:2] == "e " {
				key = l[:4]
			}
			out[key] += l
		}
		return out
	}
	sa, sb := split(a), split(b)
	for k := range sb {
		if sa[k] != sb[k] {
			return false
		}
	}
	return len(sa) == len(sb)
}

func TestSlowReaderGetsGap(t *testing.T) {
	inBubble(t, Config{RoomLogBytes: 4 << 10, StallTimeout: time.Hour}, func(h *harness) {
		slow, ls := h.conn(10)
		fast, lf := h.conn(-1)
		h.join(slow, "r", 0)
		h.join(fast, "r", 0)
		for rev := chat.Rev(1); rev <= 2000; rev++ {
			h.publish("r", events("r", rev, rev)...)
			synctest.Wait()
		}
		h.expect(lf, lines("r", 1, 2000))
		r := h.rooms.get("r")
		r.mu.Lock()
		kept := r.logs[0].bytes
		r.mu.Unlock()
		if kept > 4<<10 {
			t.Fatalf("the log keeps %d bytes", kept)
		}
		ls.let(-1)
		h.expect(ls, lines("r", 1, 2)+"g r 2 slow\n")
		h.publish("r", events("r", 2001, 2001)...)
		h.expect(ls, "")
		h.join(slow, "r", 2000)
		h.expect(ls, lines("r", 2001, 2001))
		slow.Detach()
		fast.Detach()
	})
}

func TestQuietLogStaysSmall(t *testing.T) {
	inBubble(t, Config{}, func(h *harness) {
		c, l := h.conn(-1)
		idle, _ := h.conn(-1)
		h.join(c, "r", 0)
		h.join(idle, "r", 0)
		idle.Unsubscribe("r")
		for rev := chat.Rev(1); rev <= 5000; rev++ {
			h.publish("r", events("r", rev, rev)...)
			synctest.Wait()
		}
		h.expect(l, lines("r", 1, 5000))
		r := h.rooms.get("r")
		if kept := r.logs[0].bytes; kept > 8<<10 {
			t.Fatalf("everything was read and the log keeps %d bytes", kept)
		}
		c.Detach()
		idle.Detach()
	})
}

func TestStalledForTooLong(t *testing.T) {
	inBubble(t, Config{StallTimeout: 5 * time.Second}, func(h *harness) {
		c, l := h.conn(3)
		c.Send([]byte("private\n"))
		time.Sleep(4 * time.Second)
		h.expect(l, "pri")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := l.goodbye(); got != "slow" {
			t.Fatalf("goodbye %q", got)
		}
		c.Detach()
	})
}

func TestPrivateIsBounded(t *testing.T) {
	inBubble(t, Config{PrivateBytes: 1000, StallTimeout: time.Hour}, func(h *harness) {
		c, l := h.conn(-1)
		big := []byte(strings.Repeat("b", 5000) + "\n")
		c.SendLater(big)
		for range 10 { // small replies behind a large one are no reason to go
			c.SendLater([]byte("0123456789\n"))
		}
		h.Kick()
		synctest.Wait()
		if n := len(l.read()); n != 5001+110 || l.goodbye() != "" {
			t.Fatalf("%d bytes, goodbye %q", n, l.goodbye())
		}
		c.Detach()
		c, l = h.conn(0)
		sent := 0
		for l.goodbye() == "" && sent < 1000 {
			c.Send([]byte("0123456789"))
			sent++
			synctest.Wait()
		}
		if l.goodbye() != "slow" || sent < 100 || sent > 110 {
			t.Fatalf("goodbye %q after %d", l.goodbye(), sent)
		}
		c.Detach()
	})
}

// Why a client was told of a gap is in the log, at the level for debugging.
func TestGapIsLogged(t *testing.T) {
	var log bytes.Buffer // written by the one worker
	cfg := Config{Workers: 1, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	inBubble(t, cfg, func(h *harness) {
		c, l := h.conn(-1)
		c.SetUser("ann")
		h.join(c, "r", 1)
		h.publish("r", events("r", 3, 3)...)
		h.expect(l, "g r 1 lost\n")
		if got := log.String(); !strings.Contains(got, "level=DEBUG") || !strings.HasSuffix(got, "room=r user=ann reason=lost\n") {
			t.Errorf("the log has %q", got)
		}
		c.Detach()
	})
}
