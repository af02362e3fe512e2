package sockio

import (
	"bytes"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/socketio"
	"github.com/roomtide/roomtide/websocket"
	"github.com/roomtide/roomtide/wire"
)

// Encoding frames events for Socket.IO (hub.Encoding): `42["message",{…}]` in
// a WebSocket text frame, the same bytes for every protocol version. Over
// polling the engine takes the frames apart again.
type Encoding struct {
	Deflate bool // for connections that agreed on compression
}

func (e Encoding) ID() int {
	if e.Deflate {
		return 4
	}
	return 2
}

func (e Encoding) AppendEvent(dst []byte, ev *chat.Event) []byte {
	start := len(dst)
	return seal(appendTyped(dst, wire.AppendEvent(nil, ev)), start, e.Deflate)
}

// seal compresses the frame from start on, if there is one and it is to be.
func seal(dst []byte, start int, deflate bool) []byte {
	if deflate && len(dst) > start {
		dst = websocket.DeflateFrame(dst, start)
	}
	return dst
}

func (Encoding) AppendGap(dst []byte, room chat.RoomID, rev chat.Rev) []byte {
	return appendTyped(dst, wire.AppendGap(nil, room, rev))
}

// appendTyped frames an object under its type, which is its first member.
func appendTyped(dst, object []byte) []byte {
	behind, ok := bytes.CutPrefix(object, []byte(`{"type":"`))
	if !ok {
		return dst // of a kind that is not told
	}
	name, _, _ := bytes.Cut(behind, []byte{'"'})
	return appendEvent(dst, string(name), object)
}

func appendEvent(dst []byte, name string, object []byte) []byte {
	return socketio.AppendEvent(dst, "/", name, object)
}

// Codec frames replies for Socket.IO (session.Codec): acks for those who wait
// for one. An error that nobody waits for is an event, any other reply nothing.
type Codec struct {
	Deflate bool // for connections that agreed on compression
}

func (c Codec) Ack(dst []byte, id int64, hasID bool, r wire.Reply) []byte {
	if !hasID {
		return dst
	}
	start := len(dst)
	return seal(appendAck(dst, id, wire.AppendAck(nil, 0, false, r)), start, c.Deflate)
}

func (c Codec) Error(dst []byte, id int64, hasID bool, e *chat.Error) []byte {
	object := wire.AppendError(nil, 0, false, e)
	if !hasID {
		return appendTyped(dst, object)
	}
	return appendAck(dst, id, object)
}

func appendAck(dst []byte, id int64, object []byte) []byte {
	return socketio.AppendAck(dst, "/", uint64(id), object)
}
