package client

import (
	"fmt"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

// What the server's durable queue has is told, holds up nothing behind it, and is sent again
// until it is decided.
func TestAccepted(t *testing.T) {
	f := newFake(t)
	accepted, sent := make(chan string, 1000), make(chan Sent, 1000)
	c := dial(t, f, func(o *Options) {
		o.Accepted = func(room chat.RoomID, key string) { accepted <- string(room) + " " + key }
	})
	f.with(func() {
		f.hook = func(c *fakeConn, cmd *wire.Command) bool {
			if cmd.Type != wire.Message {
				return false
			}
			frame := wire.AppendAccepted(nil, cmd.ID, cmd.HasID, cmd.Key)
			c.out <- frame
			c.out <- frame // on its way from one lane to another
			c.out <- wire.AppendAccepted(nil, cmd.ID+1_000_000, true, "of nothing")
			return true
		}
	})
	messages := c.Limits().InFlight + 50 // more than may be in flight
	for i := range messages {
		c.SendAsync("room1", chat.Draft{Text: "x", Key: fmt.Sprint("k", i)}, func(s Sent, err error) {
			if err != nil {
				t.Error(err)
			}
			sent <- s
		})
	}
	for i := range messages {
		select {
		case got := <-accepted:
			if got != fmt.Sprint("room1 k", i) {
				t.Fatalf("accepted %q, want k%d", got, i)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%d of %d are accepted", i, messages)
		}
	}
	if len(sent) > 0 {
		t.Error("what is accepted is not decided")
	}
	f.with(func() { f.hook = nil })
	f.each(func(c *fakeConn) { c.cut() })
	for i := range messages {
		select {
		case s := <-sent:
			if s.Key != fmt.Sprint("k", i) || s.Seq != chat.Seq(i+1) {
				t.Fatalf("sent %+v, want k%d", s, i)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%d of %d are decided", i, messages)
		}
	}
	if len(accepted) > 0 {
		t.Errorf("%d are told twice of one connection", len(accepted))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if b := &c.outbox; len(b.flying) > 0 || b.queued != 0 {
		t.Errorf("%d flying, %d queued", len(b.flying), b.queued)
	}
}
