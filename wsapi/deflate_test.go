package wsapi

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/websocket"
	"github.com/roomtide/roomtide/wire"
)

// Where compression is on, clients that offer it get the same compressed bytes,
// and those that do not get the same text.
func TestDeflate(t *testing.T) {
	s := newStand(t, Config{Deflate: true}, false)
	packing := websocket.Dialer{Deflate: true}
	plain, reading := s.dial(), s.dialWith(packing)
	raw := []*peerConn{s.dialWith(packing), s.dialWith(packing)}
	for _, c := range append(raw, plain, reading) {
		c.hello()
		c.send(`{"type":"join","id":2,"room":"room1"}`)
		c.want(`{"type":"ack","id":2}`)
	}
	if plain.Deflate() || !reading.Deflate() {
		t.Fatal("compression was not agreed on with exactly those that offered it")
	}
	ev := &chat.Event{Kind: chat.EventMessage, Room: "room1", Rev: 1,
		Message: &chat.Message{Room: "room1", Seq: 1, Rev: 1, User: "user1", Text: strings.Repeat("a word or two ", 20)}}
	s.hub.Deliver(bus.Ephemeral(0, ev))
	text := wire.AppendEvent(nil, ev)
	plain.want(string(text))
	reading.want(string(text))
	want := websocket.DeflateFrame(append(websocket.AppendHeader(nil, websocket.Text, len(text)), text...), 0)
	for _, c := range raw {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c.NetConn(), got); err != nil || !bytes.Equal(got, want) || len(got) >= len(text) {
			t.Errorf("%d bytes for %d: %x, %v", len(got), len(text), got, err)
		}
	}
	long := strings.Repeat("x", 300) // an ack that is worth compressing
	reading.send(`{"type":"message","id":3,"room":"room1","message":"` + long + `"}`)
	reading.want(`{"type":"ack","id":3,"room":"` + long + `"}`)
}

// A limit holds for what a message becomes, also before hello.
func TestDeflateBomb(t *testing.T) {
	s := newStand(t, Config{Deflate: true}, false)
	c := s.dialWith(websocket.Dialer{Deflate: true})
	c.send(strings.Repeat(" ", 4*helloBytes))
	c.wantBye(chat.ByeTooLarge)
}

// Compression is off unless it is switched on.
func TestNoDeflate(t *testing.T) {
	if c := newStand(t, Config{}, false).dialWith(websocket.Dialer{Deflate: true}); c.Deflate() {
		t.Error("compression was agreed on")
	}
}
