package socketio_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/roomtide/roomtide/socketio"
	"github.com/roomtide/roomtide/websocket"
)

// newChat is the server of README.md.
func newChat() *socketio.Server {
	io := socketio.New(socketio.Options{})
	chat := io.Of("/")
	chat.Use(func(s *socketio.Socket) error { // admission
		var auth struct{ User string }
		if err := json.Unmarshal(s.Auth(), &auth); err != nil || auth.User == "" {
			return &socketio.ConnectError{Message: "auth: {user} is missing"}
		}
		s.SetData(auth.User)
		return s.Join("lobby")
	})
	chat.On("say", func(s *socketio.Socket, e *socketio.Event) {
		if len(e.Args) != 1 { // clients may send anything
			return
		}
		s.To("lobby").Emit("said", s.Data(), e.Args[0])
		e.Ack("ok") // an error means that the client is gone, or wants no ack
	})
	chat.OnDisconnect(func(s *socketio.Socket, reason string) {
		s.To("lobby").Volatile().Emit("left", s.Data())
	})
	return io
}

// A chat room. The client is a few frames of a WebSocket here; with
// socket.io-client it is
//
//	const socket = io(url, { auth: { user: "ann" } });
//	socket.emit("say", "hello", (answer) => …);
func Example() {
	io := newChat()
	server := httptest.NewServer(io) // or http.Handle("/socket.io/", io)
	defer server.Close()
	defer io.Close(context.Background())

	ann := dial(server.URL)
	defer ann.ws.Close()
	ann.send(`40`)
	fmt.Println(ann.receive())
	ann.send(`40{"user":"ann"}`)
	fmt.Println(ann.receive()[:8])
	bob := dial(server.URL)
	defer bob.ws.Close()
	bob.send(`40{"user":"bob"}`)
	fmt.Println(bob.receive()[:8])
	bob.send(`421["say","hello"]`)
	fmt.Println(bob.receive())
	fmt.Println(ann.receive())
	// Output:
	// 44{"message":"auth: {user} is missing"}
	// 40{"sid"
	// 40{"sid"
	// 431["ok"]
	// 42["said","bob","hello"]
}

// The answer of the client comes in a callback, or ErrTimeout does.
func ExampleSocket_EmitAck() {
	io := socketio.New(socketio.Options{})
	done := make(chan string)
	io.Of("/").OnConnect(func(s *socketio.Socket) {
		s.EmitAck(time.Minute, func(answer socketio.Message, err error) {
			done <- fmt.Sprintf("%s %v", answer.Args, err)
		}, "sum", 1, 2)
	})
	server := httptest.NewServer(io)
	defer server.Close()
	defer io.Close(context.Background())

	c := dial(server.URL)
	defer c.ws.Close()
	c.send(`40`)
	c.receive()
	fmt.Println(c.receive())
	c.send(`430[3]`)
	fmt.Println(<-done)
	// Output:
	// 420["sum",1,2]
	// [3] <nil>
}

// An event is addressed step by step; each step is a new value.
func ExampleBroadcast() {
	io := socketio.New(socketio.Options{})
	defer io.Close(context.Background())
	news := io.Of("/news")
	fmt.Println(news.Emit("to all", "hello"))
	fmt.Println(news.To("red", "blue").Except("muted").Emit("picture", []byte{1, 2, 3}))
	fmt.Println(news.To("red").Volatile().Emit("position", map[string]int{"x": 1}))
	// Output:
	// <nil>
	// <nil>
	// <nil>
}

// Attachments may be anywhere in a value; Message.Decode puts them back.
func ExampleBinary() {
	type picture struct {
		Name string
		Data socketio.Binary
	}
	m, err := socketio.NewMessage("picture", picture{"a.png", socketio.Binary("\x89PNG")})
	fmt.Printf("%s %q %v\n", m.Args[0], m.Attachments, err)
	var p picture
	err = m.Decode(0, &p)
	fmt.Printf("%s %q %v\n", p.Name, p.Data, err)
	// Output:
	// {"Name":"a.png","Data":{"_placeholder":true,"num":0}} ["\x89PNG"] <nil>
	// a.png "\x89PNG" <nil>
}

// A frame that can be given to any number of connections.
func ExampleAppendEvent() {
	fmt.Printf("%q\n", socketio.AppendEvent(nil, "/", "message", []byte(`{"message":"hello"}`)))
	// Output: "\x81!42[\"message\",{\"message\":\"hello\"}]"
}

func ExampleDecoder() {
	var d socketio.Decoder
	p, err := d.Text([]byte(`51-/chat,7["picture",{"_placeholder":true,"num":0}]`))
	fmt.Println(p, err, d.Waiting())
	p, err = d.Binary([]byte("\x89PNG"))
	picture, _ := p.Attachment(0)
	fmt.Printf("%s %d %s %q %v\n", p.Namespace, p.ID, p.Name, picture, err)
	// Output:
	// <nil> <nil> true
	// /chat 7 picture "\x89PNG" <nil>
}

// client is a minimal client.
type client struct{ ws *websocket.Conn }

func dial(url string) client {
	url = strings.Replace(url, "http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
	ws, err := websocket.Dial(context.Background(), url, nil)
	if err != nil {
		panic(err)
	}
	c := client{ws}
	c.receive() // the handshake of the engine
	return c
}

func (c client) send(text string) {
	if err := c.ws.WriteMessage(websocket.Text, []byte(text)); err != nil {
		panic(err)
	}
}

func (c client) receive() string {
	_, data, err := c.ws.ReadMessage(1 << 20)
	if err != nil {
		panic(err)
	}
	return string(data)
}
