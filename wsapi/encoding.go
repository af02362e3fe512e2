package wsapi

import (
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/websocket"
	"github.com/roomtide/roomtide/wire"
)

// Encoding frames events for native WebSockets (hub.Encoding).
type Encoding struct {
	Deflate bool // for connections that agreed on compression
}

func (e Encoding) AppendEvent(dst []byte, ev *chat.Event) []byte {
	dst, start := open(dst)
	return seal(wire.AppendEvent(dst, ev), start, e.Deflate)
}

func (e Encoding) AppendGap(dst []byte, room chat.RoomID, rev chat.Rev, reason chat.GapReason) []byte {
	dst, start := open(dst)
	return seal(wire.AppendGap(dst, room, rev, reason), start, false) // too small, and made under a lock
}

// Codec frames replies for native WebSockets (session.Codec).
type Codec struct {
	Deflate bool // for connections that agreed on compression
}

func (c Codec) Ack(dst []byte, id int64, hasID bool, r wire.Reply) []byte {
	dst, start := open(dst)
	return seal(wire.AppendAck(dst, id, hasID, r), start, c.Deflate)
}

func (c Codec) Accepted(dst []byte, id int64, hasID bool, key string) []byte {
	if !hasID && key == "" {
		return dst
	}
	dst, start := open(dst)
	return seal(wire.AppendAccepted(dst, id, hasID, key), start, c.Deflate)
}

func (c Codec) Error(dst []byte, cmd *wire.Command, e *chat.Error) []byte {
	dst, start := open(dst)
	return seal(wire.AppendError(dst, cmd, e), start, c.Deflate)
}

// goodbye is the last bytes on a connection: a goodbye object and a close
// frame, or only the close frame when the peer closed first.
func goodbye(g chat.Goodbye) []byte {
	if g.Reason == "" {
		return websocket.AppendClose(nil, g.Code, "")
	}
	dst, start := open(nil)
	dst = seal(wire.AppendGoodbye(dst, g), start, false)
	return websocket.AppendClose(dst, g.Code, g.Reason)
}

// usualHeader is the size of the header of a payload of 126 to 65,535 bytes.
const usualHeader = 4

// open reserves space for the header of a text frame; seal writes the header once
// the payload is known, and compresses the frame if that was agreed on.
func open(dst []byte) (_ []byte, start int) {
	return append(dst, make([]byte, usualHeader)...), len(dst)
}

func seal(dst []byte, start int, deflate bool) []byte {
	var space [10]byte
	payload := len(dst) - start - usualHeader
	h := websocket.AppendHeader(space[:0], websocket.Text, payload)
	if more := len(h) - usualHeader; more > 0 {
		dst = append(dst, space[:more]...)
		copy(dst[start+len(h):], dst[start+usualHeader:len(dst)-more])
	} else if more < 0 {
		copy(dst[start+len(h):], dst[start+usualHeader:])
		dst = dst[:len(dst)+more]
	}
	copy(dst[start:], h)
	if deflate {
		dst = websocket.DeflateFrame(dst, start)
	}
	return dst
}
