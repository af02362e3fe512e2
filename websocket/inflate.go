package websocket

import (
	"compress/flate"
	"io"
	"math"
	"sync"
)

// maxStreams bounds the final blocks of one message. Each costs a new start of
// the inflater, and two bytes are enough for one.
const maxStreams = maxFragments

// tail comes after the payload of a compressed message: what the sender cut off
// (RFC 7692 section 7.2.2), and a final block, without which flate waits for more.
var tail = []byte{0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff}

// source is what flate reads: a payload, then the tail. It has ReadByte, so
// that flate takes no byte more than it needs.
type source struct {
	rest   []byte // of the payload, or of the tail
	inTail bool
}

func (s *source) Read(p []byte) (int, error) {
	if !s.more() {
		return 0, io.EOF
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *source) ReadByte() (byte, error) {
	if !s.more() {
		return 0, io.EOF
	}
	b := s.rest[0]
	s.rest = s.rest[1:]
	return b, nil
}

// more reports whether there is a byte to read, and goes on to the tail for it.
func (s *source) more() bool {
	if len(s.rest) == 0 && !s.inTail {
		s.rest, s.inTail = tail, true
	}
	return len(s.rest) > 0
}

// inflater is pooled for its window of 32 KiB. Nothing of an earlier message
// can come out of it: flate refuses distances that lead before the beginning.
type inflater struct {
	r   io.Reader // a flate reader of src
	src source
}

var inflaters = sync.Pool{New: func() any {
	f := new(inflater)
	f.r = flate.NewReader(&f.src)
	return f
}}

// inflate returns what the payload p of a compressed message is, if that is at
// most limit bytes. The memory it takes follows limit, whatever p would become.
// The result is the caller's; p is not changed. What is not DEFLATE is a breach
// of the protocol (1002): 1007 is for text that is not UTF-8.
func inflate(p []byte, limit int) ([]byte, error) {
	f := inflaters.Get().(*inflater)
	out, err := f.inflate(p, min(max(limit, 0), math.MaxInt-1))
	f.src = source{}
	inflaters.Put(f)
	return out, err
}

// inflate reads one stream after the other: after a block that says it is the
// final one more blocks may follow, which may refer to what was before it.
func (f *inflater) inflate(p []byte, limit int) (out []byte, err error) {
	f.src = source{rest: p}
	out = make([]byte, 0, min(limit+1, 2*len(p)+64))
	for streams := 0; len(f.src.rest) > 0; streams++ {
		if streams == maxStreams {
			return nil, &Error{CodeTooLarge, "too many final blocks"}
		}
		f.r.(flate.Resetter).Reset(&f.src, out)
		if out, err = f.stream(out, limit); err != nil {
			return nil, err
		}
		if f.src.inTail && len(f.src.rest) > 0 {
			return nil, protocolError("compressed message is cut off")
		}
	}
	return out, nil
}

// stream appends what comes until the end of a final block.
func (f *inflater) stream(out []byte, limit int) ([]byte, error) {
	for {
		if len(out) == cap(out) {
			grown := make([]byte, len(out), min(limit+1, 2*cap(out)))
			copy(grown, out)
			out = grown
		}
		n, err := f.r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		switch {
		case len(out) > limit:
			return nil, &Error{CodeTooLarge, "message is too large inflated"}
		case err == io.EOF:
			return out, nil
		case err != nil:
			return nil, protocolError("compressed message is malformed")
		}
	}
}
