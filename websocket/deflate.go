package websocket

import (
	"bytes"
	"compress/flate"
	"sync"
)

const (
	// MinDeflate is the size from which messages are compressed. A chat message of
	// 128 bytes becomes 19 % smaller, one of 400 a third. With less there are some
	// twenty bytes to save, half of the headers of TCP and IP around it.
	MinDeflate = 128

	// deflateLevel is BestSpeed because messages are short. Level 6 clears tables
	// of 640 KiB for each: it takes twice as long, and saves at most 1 % more of 128
	// to 400 bytes, 2 % of 1 KiB and 5 % of 8 KiB.
	deflateLevel = flate.BestSpeed

	// keepPacked is how large the buffer of a pooled compressor may stay.
	keepPacked = 64 << 10

	// deflated in an opcode sets RSV1, which says that the message is compressed.
	deflated Op = rsv1Bit
)

// flushed is how a flush ends a stream. It is not sent (RFC 7692 section 7.2.1).
var flushed = []byte{0x00, 0x00, 0xff, 0xff}

// deflater is a compressor. It is large (1.2 MB), so no goroutine waits while it holds one.
type deflater struct {
	w   *flate.Writer
	out bytes.Buffer
}

var deflaters = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, deflateLevel) // fails only for a level there is not
	return &deflater{w: w}
}}

// DeflateFrame compresses the last frame of b, which begins at start: one whole
// frame with a text or binary message, as AppendHeader makes it. It stays as it
// is if compressing would not make it smaller. The result does not depend on
// what was sent before: compressed once, it can be written to every connection
// that says Deflate, and to no other.
func DeflateFrame(b []byte, start int) []byte {
	op, p := Op(b[start]&opBits), b[start+2:]
	switch b[start+1] {
	case 126:
		p = p[2:]
	case 127:
		p = p[8:]
	}
	deflate(op, p, func(to Op, packed []byte) {
		if to != op {
			b = append(AppendHeader(b[:start], to, len(packed)), packed...)
		}
	})
	return b
}

// deflate calls frame with what is to be sent of the message p: itself, or
// opcode and payload of its compressed form, which is valid during the call.
// frame must not wait.
func deflate(op Op, p []byte, frame func(Op, []byte)) {
	if op != Text && op != Binary || len(p) < MinDeflate {
		frame(op, p)
		return
	}
	d := deflaters.Get().(*deflater)
	if packed := d.pack(p); len(packed) < len(p) {
		frame(op|deflated, packed)
	} else {
		frame(op, p)
	}
	if d.out.Cap() > keepPacked {
		d.out = bytes.Buffer{}
	}
	deflaters.Put(d)
}

// pack compresses p by itself. The result is valid until the next pack.
func (d *deflater) pack(p []byte) []byte {
	d.out.Reset()
	d.w.Reset(&d.out)
	d.w.Write(p) // neither fails, as a bytes.Buffer takes everything
	d.w.Flush()
	return bytes.TrimSuffix(d.out.Bytes(), flushed)
}
