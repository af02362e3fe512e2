package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/websocket"
	"github.com/roomtide/roomtide/wire"
)

// Two users and a back end in one room, while the node is killed and restarted.
func TestRoom(t *testing.T) {
	dir, addr := t.TempDir(), testprocess.FreeAddr(t)
	n := program.Start(t, dir, addr)
	n.Ready()
	user1, user2 := user(t, n, "user1"), user(t, n, "user2")
	join(t, user1, "room1")
	if s, err := user1.Send(testContext(t), "room1", chat.Draft{Text: "Hello"}); err != nil || s.Seq != 1 {
		t.Fatalf("sent = %+v, %v", s, err)
	}
	t.Logf("from the start of the process to the first acknowledged message: %v", time.Since(n.Started).Round(time.Millisecond))
	wantMessage(t, user1, 1, "user1", "Hello")
	join(t, user2, "room1")

	shop := newBackEnd(t, n, dir)
	if a := shop.post("room1", "order-1", "Order 1 has left"); a.Status != http.StatusCreated || a.Seq != 2 {
		t.Fatalf("the back end's message: %+v", a)
	}
	wantMessage(t, user1, 2, "shop", "Order 1 has left")
	wantMessage(t, user2, 2, "shop", "Order 1 has left")

	n.Kill()
	n = program.Start(t, dir, addr)
	n.Ready()
	shop.n = n

	// Without an answer the back end repeats its message.
	if a := shop.post("room1", "order-1", "Order 1 has left"); a.Status != http.StatusOK || a.Seq != 2 {
		t.Errorf("the message repeated after the crash: %+v", a)
	}
	if a := shop.post("room1", "order-1", "Order 1 is lost"); a.Status != http.StatusConflict || a.Code != "conflict" {
		t.Errorf("the key with another message: %+v", a)
	}
	if _, err := user1.Send(testContext(t), "room1", chat.Draft{Text: "mine", Key: "k"}); err != nil {
		t.Error(err)
	}
	if _, err := user1.Send(testContext(t), "room1", chat.Draft{Text: "not mine", Key: "k"}); chat.KindOf(err) != chat.Conflict {
		t.Errorf("the key with another message, on a WebSocket: %v", err)
	}
	if a := shop.post("room1", "order-2", "Order 2 has left"); a.Seq != 4 {
		t.Errorf("the next message: %+v", a)
	}
	// Both clients reconnect without help and receive each message once.
	for _, u := range []*client.Client{user1, user2} {
		wantMessage(t, u, 3, "user1", "mine")
		wantMessage(t, u, 4, "shop", "Order 2 has left")
	}
	history := shop.get("/v1/rooms/room1/messages")
	if len(history.Messages) != 4 || history.Messages[0].Text != "Hello" || history.Messages[3].Text != "Order 2 has left" {
		t.Errorf("history: %+v", history)
	}
	if code := n.Terminate(10 * time.Second); code != 0 {
		t.Errorf("the node ended with %d", code)
	}
}

// The two lines of a browser that uses nothing but JSON.
func TestPlainWebSocket(t *testing.T) {
	n := program.Start(t, t.TempDir(), testprocess.FreeAddr(t))
	n.Ready()
	for _, path := range []string{"/ws", "/"} {
		ws, err := websocket.Dial(testContext(t), "ws://"+n.Addr+path, nil)
		if err != nil {
			t.Fatal(path, err)
		}
		defer ws.Close()
		if err := ws.WriteMessage(websocket.Text, []byte(`{"room":"room1","user":"user1","message":"Hello"}`)); err != nil {
			t.Fatal(err)
		}
		if err := ws.NetConn().SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		for {
			_, p, err := ws.ReadMessage(1 << 20)
			if err != nil {
				t.Fatal(path, err)
			}
			f, err := wire.DecodeServer(p)
			if err != nil || f.Err != nil {
				t.Fatalf("%s: %s, %v", path, p, err)
			}
			if f.Event != nil && f.Event.Kind == chat.EventMessage {
				if m := f.Event.Message; m.Text != "Hello" || m.User != "user1" || m.Room != "room1" {
					t.Errorf("%s: %s", path, p)
				}
				break
			}
		}
	}
}
