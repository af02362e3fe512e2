package engineio

import (
	"encoding/binary"

	"github.com/roomtide/roomtide/websocket"
)

// AppendFrame appends one WebSocket text frame that holds one message packet
// with the given payload. The bytes are the same for every protocol version and
// are what Socket.TryWrite takes. The payload must be UTF-8 without U+001E, as
// all JSON without raw control characters is.
func AppendFrame(dst []byte, payload ...[]byte) []byte {
	n := 1
	for _, p := range payload {
		n += len(p)
	}
	dst = append(websocket.AppendHeader(dst, websocket.Text, n), byte(kindMessage))
	for _, p := range payload {
		dst = append(dst, p...)
	}
	return dst
}

// appendPacket appends a text frame with a packet that is not a message.
func appendPacket(dst []byte, k kind, data string) []byte {
	dst = append(websocket.AppendHeader(dst, websocket.Text, 1+len(data)), byte(k))
	return append(dst, data...)
}

// appendBinary appends a binary frame as the protocol version wants it.
func appendBinary(dst []byte, version int, data []byte) []byte {
	if version == 3 {
		dst = append(websocket.AppendHeader(dst, websocket.Binary, 1+len(data)), byte(kindMessage-'0'))
		return append(dst, data...)
	}
	return append(websocket.AppendHeader(dst, websocket.Binary, len(data)), data...)
}

// textFrame is the first byte of an unfragmented text frame, and deflatedFrame of
// one that websocket.DeflateFrame has compressed.
const (
	textFrame     = 0x80 | byte(websocket.Text)
	deflatedFrame = textFrame | 0x40
)

// maxFrame is more than a frame has, and far from overflowing.
const maxFrame = 1 << 62

// headerSize is the length of a server's frame header, known from its second byte.
func headerSize(second byte) int {
	switch second & 0x7f {
	case 126:
		return 4
	case 127:
		return 10
	}
	return 2
}

// frameSize is the length of a whole frame, of which head is the header.
func frameSize(head []byte) uint64 {
	switch len(head) {
	case 4:
		return 4 + uint64(binary.BigEndian.Uint16(head[2:]))
	case 10:
		return 10 + min(binary.BigEndian.Uint64(head[2:]), maxFrame)
	}
	return 2 + uint64(head[1]&0x7f)
}

// nextFrame cuts the first frame off b, which holds whole frames.
func nextFrame(b []byte) (op websocket.Op, payload, rest []byte) {
	h := headerSize(b[1])
	n := int(frameSize(b[:h]))
	return websocket.Op(b[0] & 0x0f), b[h:n], b[n:]
}

// cutter finds the ends of text frames in bytes that come in pieces. The zero
// cutter is between two frames.
type cutter struct {
	deflates bool // frames may be compressed
	head     [10]byte
	have     uint64 // bytes of the current frame so far
	size     uint64 // of the whole frame, 0 while the header is not complete
}

// inside reports whether a frame has begun and not ended.
func (c *cutter) inside() bool { return c.have > 0 }

// next takes bytes from p to the end of the current frame, or all of p, and
// returns how many. p is not empty.
func (c *cutter) next(p []byte) (n int, err error) {
	for c.size == 0 {
		if n == len(p) {
			return n, nil
		}
		c.head[c.have] = p[n]
		c.have++
		n++
		switch {
		case c.have == 1 && c.head[0] != textFrame && (c.head[0] != deflatedFrame || !c.deflates), c.have == 2 && c.head[1]&0x80 != 0:
			return 0, ErrFrame
		case c.have >= 2 && c.have == uint64(headerSize(c.head[1])):
			if c.size = frameSize(c.head[:c.have]); c.size > maxFrame {
				return 0, ErrFrame
			}
		}
	}
	k := min(uint64(len(p)-n), c.size-c.have)
	n += int(k)
	if c.have += k; c.have == c.size {
		*c = cutter{deflates: c.deflates}
	}
	return n, nil
}

// skip takes the first n bytes of bufs.
func (c *cutter) skip(bufs [][]byte, n int) error {
	for _, b := range bufs {
		b = b[:min(n, len(b))]
		n -= len(b)
		for len(b) > 0 {
			k, err := c.next(b)
			if err != nil {
				return err
			}
			b = b[k:]
		}
	}
	return nil
}
