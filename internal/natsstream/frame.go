package natsstream

import "encoding/binary"

// kind says what a frame is.
type kind uint8

const (
	kindOpen   kind = 1 + iota // begins a stream
	kindAccept                 // it has begun
	kindData
	kindCredit // how many bytes of the stream were read, in all
	kindFin    // nothing more comes
	kindClose  // and nothing more is read
	kindAsk    // is the process there?
	kindHere   // it is
	kindLost   // a frame was lost: all streams between the two have ended
)

// frame is a message between two processes.
type frame struct {
	kind    kind
	dialed  bool   // the stream was dialed by the sender of the frame
	number  uint64 // of the frame, from one process to another
	stream  uint64 // chosen by the process that dialed it
	payload []byte
}

const headerSize = 1 + 8 + 8

func (f *frame) append(dst []byte) []byte {
	k := byte(f.kind) << 1
	if f.dialed {
		k |= 1
	}
	dst = append(dst, k)
	dst = binary.BigEndian.AppendUint64(dst, f.number)
	dst = binary.BigEndian.AppendUint64(dst, f.stream)
	return append(dst, f.payload...)
}

// parseFrame reports false for what is no frame. The payload is part of b.
func parseFrame(b []byte) (f frame, ok bool) {
	if len(b) < headerSize {
		return f, false
	}
	f = frame{
		kind: kind(b[0] >> 1), dialed: b[0]&1 == 1,
		number: binary.BigEndian.Uint64(b[1:]), stream: binary.BigEndian.Uint64(b[9:]), payload: b[headerSize:],
	}
	return f, f.kind >= kindOpen && f.kind <= kindLost && (f.kind != kindCredit || len(f.payload) == 8)
}
