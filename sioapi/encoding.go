package sioapi

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/socketio"
	"github.com/roomtide/roomtide/websocket"
	"github.com/roomtide/roomtide/wire"
)

// Encoding frames events for Socket.IO (hub.Encoding): `42["message",{…},"7 room"]`
// in a WebSocket text frame. Over polling the engine takes the frames apart again.
// The string at the end of durable events is what stock clients come back with;
// those that do not know of it do not get it.
type Encoding struct {
	Deflate bool // for connections that agreed on compression
	Plain   bool // without offsets
}

func (e Encoding) AppendEvent(dst []byte, ev *chat.Event) []byte {
	start := len(dst)
	object := wire.AppendEvent(nil, ev)
	if ev.Rev == 0 || e.Plain {
		return seal(appendTyped(dst, object), start, e.Deflate)
	}
	return seal(appendTyped(dst, object, appendOffset(nil, ev.Room, ev.Rev)), start, e.Deflate)
}

// appendOffset appends the place of an event, as JSON text: "7 room". It is the
// same for everybody; what else a client has when it has that, hub.Delivered tells.
func appendOffset(dst []byte, room chat.RoomID, rev chat.Rev) []byte {
	quoted, err := json.Marshal(strconv.FormatInt(int64(rev), 10) + " " + string(room))
	if err != nil { // a string can always be marshalled
		return append(dst, `""`...)
	}
	return append(dst, quoted...)
}

// parseOffset undoes it. What is none is as good as none: the empty room.
func parseOffset(s string) (room chat.RoomID, rev chat.Rev) {
	digits, name, _ := strings.Cut(s, " ")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return "", 0
	}
	return chat.RoomID(name), chat.Rev(n)
}

// seal compresses the frame from start on, if there is one and it is to be.
func seal(dst []byte, start int, deflate bool) []byte {
	if deflate && len(dst) > start {
		dst = websocket.DeflateFrame(dst, start)
	}
	return dst
}

func (Encoding) AppendGap(dst []byte, room chat.RoomID, rev chat.Rev, reason chat.GapReason) []byte {
	return appendTyped(dst, wire.AppendGap(nil, room, rev, reason))
}

// appendTyped frames an object under its type, which is its first member, and
// what else there is.
func appendTyped(dst, object []byte, more ...[]byte) []byte {
	behind, ok := bytes.CutPrefix(object, []byte(`{"type":"`))
	if !ok {
		return dst // of a kind that is not told
	}
	name, _, _ := bytes.Cut(behind, []byte{'"'})
	return socketio.AppendEvent(dst, "/", string(name), append([][]byte{object}, more...)...)
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
