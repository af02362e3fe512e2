package websocket

import (
	"encoding/binary"
	"unicode/utf8"
)

// Op is the opcode of a frame.
type Op byte

const (
	continuation Op = 0x0
	Text         Op = 0x1
	Binary       Op = 0x2
	closing      Op = 0x8
	Ping         Op = 0x9
	Pong         Op = 0xA
)

func (op Op) control() bool { return op&0x8 != 0 }

func (op Op) known() bool {
	switch op {
	case continuation, Text, Binary, closing, Ping, Pong:
		return true
	}
	return false
}

const (
	finBit  = 0x80
	rsvBits = 0x70
	rsv1Bit = 0x40
	opBits  = 0x0F
	maskBit = 0x80

	maxControl = 125 // payload bytes of a control frame
)

// AppendHeader appends the header of an unmasked, unfragmented frame with n
// bytes of payload, as a server sends it.
func AppendHeader(dst []byte, op Op, n int) []byte {
	return appendHeader(dst, op, n, 0)
}

func appendHeader(dst []byte, op Op, n int, mask byte) []byte {
	dst = append(dst, finBit|byte(op))
	switch {
	case n < 126:
		return append(dst, mask|byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, mask|126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, mask|127), uint64(n))
}

// AppendClose appends a whole close frame as a server sends it. A reason that
// does not fit is cut at a character; code CodeNone sends no code.
func AppendClose(dst []byte, code int, reason string) []byte {
	p := closePayload(code, reason)
	return append(AppendHeader(dst, closing, len(p)), p...)
}

func closePayload(code int, reason string) []byte {
	if code == CodeNone {
		return nil
	}
	n := min(len(reason), maxControl-2)
	for n < len(reason) && n > 0 && !utf8.RuneStart(reason[n]) {
		n--
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason[:n]...)
}

// mask XORs p with key, the first byte of p with the first of key.
func mask(p []byte, key [4]byte) {
	k := binary.LittleEndian.Uint32(key[:])
	k64 := uint64(k)<<32 | uint64(k)
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^k64)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= key[i&3]
	}
}
