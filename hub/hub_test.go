package hub

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestResume(t *testing.T) {
	const room = "r"
	cases := []struct {
		name   string
		before func(h *harness) // between Subscribe and Resume
		after  chat.Rev
		then   func(h *harness)
		want   string
	}{
		{"at the head", func(h *harness) {}, 7, func(h *harness) { h.publish(room, events(room, 8, 9)...) }, lines(room, 8, 9)},
		{"behind", func(h *harness) { h.publish(room, events(room, 5, 9)...) }, 6, func(h *harness) {}, lines(room, 7, 9)},
		{"before the first", func(h *harness) { h.publish(room, events(room, 5, 6)...) }, 4, func(h *harness) {}, lines(room, 5, 6)},
		{"ahead", func(h *harness) { h.publish(room, events(room, 5, 6)...) }, 8,
			func(h *harness) { h.publish(room, events(room, 7, 10)...) }, lines(room, 9, 10)},
		{"ahead of the first", func(h *harness) {}, 8, func(h *harness) { h.publish(room, events(room, 7, 10)...) }, lines(room, 9, 10)},
		{"below the log", func(h *harness) { h.publish(room, events(room, 5, 6)...) }, 3,
			func(h *harness) { h.publish(room, events(room, 7, 7)...) }, "g r 3 behind\n"},
		{"duplicates", func(h *harness) { h.publish(room, events(room, 5, 6)...) }, 6,
			func(h *harness) { h.publish(room, events(room, 6, 7)...); h.publish(room, events(room, 7, 7)...) }, lines(room, 7, 7)},
		{"a hole", func(h *harness) {}, 4, func(h *harness) {
			h.publish(room, events(room, 5, 5)...)
			synctest.Wait() // what was not written is lost with the hole
			h.publish(room, events(room, 8, 8)...)
		}, "e r 5 x\ng r 5 lost\n"},
		{"ahead of a hole", func(h *harness) { h.publish(room, events(room, 5, 5)...) }, 7,
			func(h *harness) { h.publish(room, events(room, 8, 8)...) }, "e r 8 x\n"},
		{"inside a hole", func(h *harness) {
			h.publish(room, events(room, 5, 5)...)
			h.publish(room, events(room, 8, 8)...)
		}, 6, func(h *harness) { h.publish(room, events(room, 9, 9)...) }, "g r 6 lost\n"},
		{"the past has changed", func(h *harness) {}, 4, func(h *harness) {
			h.publish(room, events(room, 5, 5)...)
			synctest.Wait()
			h.Deliver(&bus.Batch{Rooms: []bus.RoomEvents{{Room: room, Events: events(room, 6, 6), History: 9}}})
			h.publish(room, events(room, 10, 10)...)
		}, "e r 5 x\ng r 5 history\n"},
		{"behind a change of the past", func(h *harness) {
			h.Deliver(&bus.Batch{Rooms: []bus.RoomEvents{{Room: room, History: 9}}})
		}, 9, func(h *harness) { h.publish(room, events(room, 10, 10)...) }, lines(room, 10, 10)},
		{"ephemeral events before the start", func(h *harness) { h.publish(room, &chat.Event{Kind: chat.EventTyping, Room: room}) }, 3,
			func(h *harness) { h.publish(room, &chat.Event{Kind: chat.EventTyping, Room: room}) }, "e r 0\n"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, Config{}, func(h *harness) {
				c, l := h.conn(-1)
				if err := c.Subscribe(room); err != nil {
					t.Fatal(err)
				}
				tc.before(h)
				h.expect(l, "")
				c.Resume(room, tc.after)
				tc.then(h)
				h.expect(l, tc.want)
				c.Detach()
			})
		})
	}
}

func TestSubscribeAgainStopsTheFlow(t *testing.T) {
	inBubble(t, Config{}, func(h *harness) {
		c, l := h.conn(-1)
		h.join(c, "r", 0)
		h.publish("r", events("r", 1, 2)...)
		h.expect(l, lines("r", 1, 2))
		if err := c.Subscribe("r"); err != nil {
			t.Fatal(err)
		}
		h.publish("r", events("r", 3, 5)...)
		h.expect(l, "")
		c.Resume("r", 4)
		h.expect(l, lines("r", 5, 5))
		c.Resume("r", 1) // no Subscribe before it: nothing
		h.expect(l, "")
		c.Unsubscribe("r")
		if c.Subscribed("r") {
			t.Fatal("still joined")
		}
		h.publish("r", events("r", 6, 6)...)
		h.expect(l, "")
		c.Detach()
	})
}

func TestPrivateFirst(t *testing.T) {
	inBubble(t, Config{}, func(h *harness) {
		c, l := h.conn(-1)
		if err := c.Subscribe("r"); err != nil {
			t.Fatal(err)
		}
		h.publish("r", events("r", 1, 1)...)
		h.expect(l, "")
		c.SendLater([]byte("p 1\n"))
		h.expect(l, "")
		c.SendLater([]byte("p 2\n"))
		c.Resume("r", 0)
		h.expect(l, "p 1\np 2\n"+lines("r", 1, 1))
		c.SendLater([]byte("ack\n"))
		h.publish("r", events("r", 2, 2)...)
		h.expect(l, "ack\n"+lines("r", 2, 2))
		c.Send([]byte("p 3\n"))
		h.expect(l, "p 3\n")
		c.Detach()
	})
}

func TestSeveralRoomsInOneWrite(t *testing.T) {
	inBubble(t, Config{}, func(h *harness) {
		c, l := h.conn(-1)
		h.join(c, "a", 0)
		h.join(c, "b", 0)
		c.SendLater([]byte("ack\n"))
		h.expect(l, "")
		h.commit(bus.RoomEvents{Room: "a", Events: events("a", 1, 3)}, bus.RoomEvents{Room: "b", Events: events("b", 1, 1)})
		h.expect(l, "ack\n"+lines("a", 1, 3)+lines("b", 1, 1))
		if l.writes != 1 {
			t.Fatalf("%d writes", l.writes)
		}
		c.Detach()
	})
}

func TestTwoEncodings(t *testing.T) {
	inBubble(t, Config{}, func(h *harness) {
		a, la := h.conn(-1)
		h.join(a, "r", 0)
		h.publish("r", events("r", 1, 1)...)
		lb := newFakeLink(-1)
		b := h.Attach(lb, lineEncoding{id: 3})
		h.join(b, "r", 1)
		h.publish("r", events("r", 2, 2)...)
		h.expect(la, lines("r", 1, 2))
		h.expect(lb, lines("r", 2, 2))
		a.Detach()
		h.publish("r", events("r", 3, 3)...)
		h.expect(la, "")
		h.expect(lb, lines("r", 3, 3))
		b.Detach()
	})
}

// Numbers of encodings are the hub's, by value and for ever.
func TestEncodingsAreNumbered(t *testing.T) {
	inBubble(t, Config{}, func(h *harness) {
		for range 2 {
			for id := range maxEncodings {
				if got := h.encodingID(lineEncoding{id: id * 7}); int(got) != id || h.encoding(id) != (lineEncoding{id: id * 7}) {
					t.Errorf("encoding %d has number %d", id, got)
				}
			}
		}
		defer func() {
			if recover() == nil {
				t.Error("there is no place for another one")
			}
		}()
		h.encodingID(lineEncoding{id: 1})
	})
}

// A commit that the bus never brings must not leave its joiner without ephemeral
// events, nor the others without the news.
func TestLostOnTheWay(t *testing.T) {
	inBubble(t, Config{LateAfter: time.Second}, func(h *harness) {
		a, la := h.conn(-1)
		b, lb := h.conn(-1)
		h.join(a, "r", 5)
		h.join(b, "r", 7)
		time.Sleep(900 * time.Millisecond)
		h.expect(la, "")
		time.Sleep(200 * time.Millisecond)
		h.expect(la, "g r 5 late\n")
		h.publish("r", &chat.Event{Kind: chat.EventTyping, Room: "r"})
		h.expect(lb, "e r 0\n")
		h.expect(la, "")
		h.join(a, "r", 7)
		h.publish("r", events("r", 8, 8)...)
		h.expect(la, "e r 0\n"+lines("r", 8, 8)) // all behind 7
		h.expect(lb, lines("r", 8, 8))
		a.Detach()
		b.Detach()
	})
}

func TestCloseUser(t *testing.T) {
	inBubble(t, Config{}, func(h *harness) {
		a, la := h.conn(-1)
		b, lb := h.conn(0)
		other, lo := h.conn(-1)
		gone, _ := h.conn(-1)
		a.SetUser("ann")
		b.SetUser("ann")
		other.SetUser("bob")
		gone.SetUser("ann")
		gone.Detach()
		b.Send([]byte("stuck\n"))
		synctest.Wait()
		a.SendLater([]byte("last words\n"))
		if n := h.CloseUser("ann", chat.ByeRevoked); n != 2 {
			t.Fatalf("closed %d", n)
		}
		if !a.Closing() || !b.Closing() || !gone.Closing() || other.Closing() {
			t.Error(a.Closing(), b.Closing(), gone.Closing(), other.Closing())
		}
		h.expect(la, "last words\n")
		if la.goodbye() != "revoked" || lb.goodbye() != "revoked" || lo.goodbye() != "" {
			t.Fatal(la.goodbye(), lb.goodbye(), lo.goodbye())
		}
		a.Send([]byte("nothing after goodbye\n"))
		h.expect(la, "")
		for _, c := range []*Conn{a, b, other} {
			c.Detach()
		}
		if n := h.CloseUser("ann", chat.ByeRevoked); n != 0 {
			t.Fatalf("closed %d detached ones", n)
		}
	})
}

// A name that is claimed ends its guests, and no connection of the user itself.
func TestCloseGuests(t *testing.T) {
	inBubble(t, Config{}, func(h *harness) {
		guest, lg := h.conn(-1)
		own, lo := h.conn(-1)
		guest.SetGuest()
		guest.SetUser("ann")
		own.SetUser("ann")
		h.CloseGuests("ann", chat.ByeRevoked)
		synctest.Wait()
		if lg.goodbye() != "revoked" || lo.goodbye() != "" {
			t.Errorf("the guest: %q, the user: %q", lg.goodbye(), lo.goodbye())
		}
		guest.Detach()
		own.Detach()
	})
}

func TestDrain(t *testing.T) {
	inBubble(t, Config{}, func(h *harness) {
		a, la := h.conn(-1)
		stuck, ls := h.conn(0)
		h.join(a, "r", 0)
		h.join(stuck, "r", 0)
		h.gather("r", events("r", 1, 1))
		a.SendLater([]byte("ack\n"))
		h.Drain(chat.ByeDraining)
		h.expect(la, "ack\n"+lines("r", 1, 1))
		late, ll := h.conn(-1)
		if la.goodbye() != "draining" || ls.goodbye() != "draining" || ll.goodbye() != "draining" {
			t.Fatal(la.goodbye(), ls.goodbye(), ll.goodbye())
		}
		if err := late.Subscribe("r"); err == nil {
			t.Fatal("a refused connection subscribed")
		}
		late.Send(nil)
		for _, c := range []*Conn{a, stuck, late} {
			c.Detach()
		}
		if h.rooms.get("r") != nil {
			t.Fatal("the room is still there")
		}
	})
}

func TestFailingLink(t *testing.T) {
	inBubble(t, Config{}, func(h *harness) {
		c, l := h.conn(-1)
		h.join(c, "r", 0)
		l.Close(chat.ByeTimeout) // the transport broke
		h.publish("r", events("r", 1, 3)...)
		h.expect(l, "")
		c.Send([]byte("p\n"))
		h.publish("r", events("r", 4, 4)...)
		h.expect(l, "")
		c.Detach()
		c.Detach()
	})
}
