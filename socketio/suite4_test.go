package socketio_test

import (
	"testing"

	"github.com/roomtide/roomtide/socketio"
)

// The same for protocol 4, that of clients 1 and 2.

func (w *world) echoing4() *peer {
	w.Helper()
	p := w.connect("3")
	p.want("40", `42["auth",{}]`)
	return p
}

func TestProtocol4(t *testing.T) {
	w := overTCP(t, plain(), echo)
	for _, c := range []struct {
		name       string
		send, want []string
	}{
		{"plain text", []string{`42["message",1,"2",{"3":[true]}]`}, []string{`42["message-back",1,"2",{"3":[true]}]`}},
		{"ack", []string{`42456["message-with-ack",1,"2",{"3":[false]}]`}, []string{`43456[1,"2",{"3":[false]}]`}},
		{"custom namespace", []string{"40/custom"}, []string{"40/custom,", `42/custom,["auth",{}]`}},
		{"custom namespace with a query", []string{"40/custom?token=a%20b&x=1&x=2,"}, []string{"40/custom,", `42/custom,["auth",{"token":"a b","x":"2"}]`}},
		{"unknown namespace", []string{"40/random?x=1", `42["message"]`}, []string{`44/random,{"message":"Invalid namespace"}`, `42["message-back"]`}},
		{"leaving a namespace", []string{"40/custom", "41/custom", `42["message"]`}, []string{"40/custom,", `42/custom,["auth",{}]`, `42["message-back"]`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := w.echoing4()
			p.send(c.send...)
			p.want(c.want...)
		})
	}
	t.Run("binary", func(t *testing.T) {
		p := w.echoing4()
		p.send(`452-7["message-with-ack",{"_placeholder":true,"num":0},{"a":{"_placeholder":true,"num":1}}]`)
		p.sendBinary(1, 2)
		p.sendBinary()
		p.want(`462-7[{"_placeholder":true,"num":0},{"a":{"_placeholder":true,"num":1}}]`, "b\x01\x02", "b")
	})
	for _, text := range []string{"4abc", `42{}`, `42abc["message-with-ack"]`, "40"} {
		t.Run("closed upon "+text, func(t *testing.T) {
			p := w.echoing4()
			p.send(text)
			p.wantClosed()
		})
	}
}

// The id of a socket is that of the connection, and what refuses a client is any JSON.
func TestProtocol4Identity(t *testing.T) {
	w := overTCP(t, plain(), func(io *socketio.Server) {
		id := func(s *socketio.Socket) { s.Emit("id", s.ID(), s.Protocol()) }
		io.Of("/").OnConnect(id)
		io.Of("/chat").OnConnect(id)
		io.Of("/text").Use(func(*socketio.Socket) error { return &socketio.ConnectError{Message: "go away"} })
		io.Of("/data").Use(func(*socketio.Socket) error {
			return &socketio.ConnectError{Message: "go away", Data: []int{1, 2}}
		})
	})
	p := w.connect("3")
	p.want("40", `42["id","`+p.sid+`",4]`)
	p.send("40/chat,")
	p.want("40/chat,", `42/chat,["id","/chat#`+p.sid+`",4]`)
	p.send("40/text,", "40/data,")
	p.want(`44/text,"go away"`, `44/data,[1,2]`)
}

// A main namespace that refuses sends that without a CONNECT.
func TestProtocol4Refused(t *testing.T) {
	w := overTCP(t, plain(), func(io *socketio.Server) {
		io.Of("/").Use(func(*socketio.Socket) error { return &socketio.ConnectError{Message: "no"} })
	})
	w.connect("3").want(`44"no"`)
}
