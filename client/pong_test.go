package client

import (
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/websocket"
)

// A client that only reads answers pings: the deadline of what it wrote last has long
// passed by then.
func TestPongBehindAnOldDeadline(t *testing.T) {
	f := newFake(t)
	c := dial(t, f, nil)
	c.mu.Lock()
	l := c.link
	c.mu.Unlock()
	if err := l.ws.NetConn().SetWriteDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	f.each(func(fc *fakeConn) {
		if err := fc.ws.WriteMessage(websocket.Ping, []byte("are you there")); err != nil {
			t.Error(err)
		}
	})
	if _, err := c.Join(testContext(t), "room", JoinOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Send(testContext(t), "room", chat.Draft{Text: "here"}); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link != l {
		t.Error("the client has connected anew")
	}
}
