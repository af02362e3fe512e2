package engineio

import (
	"encoding/base64"
	"strconv"

	"github.com/roomtide/roomtide/websocket"
)

// encodePayload turns whole WebSocket frames into the answer to a poll. asText
// says that the client cannot take the binary form of protocol 3, and escape,
// unless it is nil, how to write text beyond ASCII then; binary says that the
// answer is in the binary form.
func encodePayload(version int, asText bool, escape func(dst, text []byte) []byte, frames []byte) (body []byte, binary bool) {
	switch {
	case version == 4:
		return encodeSeparated(frames), false
	case !asText && needsRecords(frames):
		return encodeRecords(frames), true
	}
	return encodeLengths(escape, frames), false
}

func encodeSeparated(frames []byte) []byte {
	body := make([]byte, 0, len(frames))
	for len(frames) > 0 {
		op, p, rest := nextFrame(frames)
		if frames = rest; len(body) > 0 {
			body = append(body, separator)
		}
		if op == websocket.Binary {
			body = base64.StdEncoding.AppendEncode(append(body, markBase64), p)
		} else {
			body = append(body, p...)
		}
	}
	return body
}

func encodeLengths(escape func(dst, text []byte) []byte, frames []byte) []byte {
	body := make([]byte, 0, len(frames))
	for len(frames) > 0 {
		op, p, rest := nextFrame(frames)
		frames = rest
		if op == websocket.Binary { // p begins with the packet type
			n := 2 + base64.StdEncoding.EncodedLen(len(p)-1)
			body = append(strconv.AppendInt(body, int64(n), 10), ':', markBase64, byte(kindMessage))
			body = base64.StdEncoding.AppendEncode(body, p[1:])
			continue
		}
		if escape != nil && utf16Len(p) != len(p) {
			p = escape(nil, p)
		}
		body = append(strconv.AppendInt(body, int64(utf16Len(p)), 10), ':')
		body = append(body, p...)
	}
	return body
}

// needsRecords reports whether there is something that all clients of protocol
// 3 understand only in the binary form: binary messages, and text whose length
// in bytes is not its length in UTF-16 code units. Clients 1 count the former.
func needsRecords(frames []byte) bool {
	for len(frames) > 0 {
		op, p, rest := nextFrame(frames)
		if op == websocket.Binary || utf16Len(p) != len(p) {
			return true
		}
		frames = rest
	}
	return false
}

func encodeRecords(frames []byte) []byte {
	body := make([]byte, 0, len(frames)+16)
	for len(frames) > 0 {
		op, p, rest := nextFrame(frames)
		frames = rest
		mark := byte(recordText)
		if op == websocket.Binary {
			mark = recordBinary
		}
		body = append(body, mark)
		at := len(body)
		body = strconv.AppendInt(body, int64(len(p)), 10)
		for i := at; i < len(body); i++ {
			body[i] -= '0'
		}
		body = append(append(body, recordLength), p...)
	}
	return body
}
