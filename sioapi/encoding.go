package sioapi

import (
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
// The string at the end of durable events is the offset that stock clients resume
// with; the others do not get it.
type Encoding struct {
	Deflate bool // for connections that agreed on compression
	Plain   bool // without offsets, for clients that do not resume
}

func (e Encoding) AppendEvent(dst []byte, ev *chat.Event) []byte {
	name := ev.Kind.String()
	if name == "" {
		return dst
	}
	start := len(dst)
	arguments := [][]byte{wire.AppendEvent(nil, ev)}
	if ev.Kind.Durable() && !e.Plain {
		arguments = append(arguments, appendOffset(nil, ev.Room, ev.Rev))
	}
	return seal(socketio.AppendEvent(dst, "/", name, arguments...), start, e.Deflate)
}

// appendOffset appends the offset of an event, as JSON text: "7 room". It is the
// same for all clients; what else a client has received by then is in its delivery
// log.
func appendOffset(dst []byte, room chat.RoomID, rev chat.Rev) []byte {
	quoted, err := json.Marshal(strconv.FormatInt(int64(rev), 10) + " " + string(room))
	if err != nil { // a string can always be marshalled
		return append(dst, `""`...)
	}
	return append(dst, quoted...)
}

// parseOffset undoes it. Anything else is the offset of the empty room.
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
	return socketio.AppendEvent(dst, "/", "gap", wire.AppendGap(nil, room, rev, reason))
}

// Codec frames replies for Socket.IO (session.Codec): acks for commands with an
// ack id. Without one an error is an event, and any other reply nothing.
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

// Accepted is an event: the callback of the command is for its answer.
func (c Codec) Accepted(dst []byte, _ int64, _ bool, key string) []byte {
	if key == "" {
		return dst
	}
	return socketio.AppendEvent(dst, "/", "accepted", wire.AppendAccepted(nil, 0, false, key))
}

func (c Codec) Error(dst []byte, cmd *wire.Command, e *chat.Error) []byte {
	object := wire.AppendError(nil, &wire.Command{Type: cmd.Type, Room: cmd.Room}, e)
	if !cmd.HasID {
		return socketio.AppendEvent(dst, "/", "error", object)
	}
	return appendAck(dst, cmd.ID, object)
}

func appendAck(dst []byte, id int64, object []byte) []byte {
	return socketio.AppendAck(dst, "/", uint64(id), object)
}
