package websocket

import (
	"encoding/binary"
	"io"
	"sync"
	"syscall"
	"unicode/utf8"
)

const (
	// readBuffer is what a connection needs to read small messages.
	readBuffer = 1 << 10

	// maxFragments bounds the frames of one message: without it a message of
	// many empty fragments would never reach the size limit.
	maxFragments = 1024
)

// buffers are read buffers that nothing has been received into.
var buffers = sync.Pool{New: func() any { return new([readBuffer]byte) }}

// ReadMessage waits for the next text or binary message of at most limit bytes
// and joins its fragments. Of a compressed message neither what comes nor what it
// becomes may be more than limit. Pings, pongs and their callbacks are handled on
// the way. payload is valid until the next call.
//
// The error is a *CloseError when the peer sent a close frame, an *Error when it
// broke the rules, io.EOF or another error of the connection when it is gone.
// After an error every call returns the same error. Only syscall.EAGAIN, from a
// Source that does not wait, is no such end: no part of a message is lost.
func (c *Conn) ReadMessage(limit int) (op Op, payload []byte, err error) {
	if c.err != nil {
		return 0, nil, c.err
	}
	op, payload, err = c.readMessage(limit)
	if err == syscall.EAGAIN {
		c.freeBuffer()
		return 0, nil, err
	}
	c.err = err
	return op, payload, err
}

// fragments are the beginning of a message that came in more than one frame.
type fragments struct {
	op     Op
	packed bool // the message is compressed
	frames int
	joined []byte
}

func (c *Conn) readMessage(limit int) (Op, []byte, error) {
	for {
		space := limit
		if c.begun != nil {
			space -= len(c.begun.joined)
		}
		h, p, err := c.readFrame(space)
		if err != nil {
			return 0, nil, err
		}
		switch {
		case h.op.control():
			if err := c.control(h.op, p); err != nil {
				return 0, nil, err
			}
			continue
		case h.fin && c.begun == nil:
			return finish(h.op, h.packed, p, limit)
		case c.begun == nil:
			c.begun = &fragments{op: h.op, packed: h.packed}
		}
		m := c.begun
		if m.frames++; m.frames > maxFragments {
			return 0, nil, &Error{CodeTooLarge, "too many fragments"}
		}
		m.joined = append(m.joined, p...)
		if h.fin {
			c.begun = nil
			return finish(m.op, m.packed, m.joined, limit)
		}
	}
}

// finish makes a message of the payload of all its frames.
func finish(op Op, packed bool, p []byte, limit int) (Op, []byte, error) {
	if packed {
		var err error
		if p, err = inflate(p, limit); err != nil {
			return 0, nil, err
		}
	}
	if op == Text && !utf8.Valid(p) {
		return 0, nil, &Error{CodeBadText, "text is not UTF-8"}
	}
	return op, p, nil
}

// control handles a control frame; a close frame is the error it becomes.
func (c *Conn) control(op Op, p []byte) error {
	switch op {
	case Ping:
		if c.OnPing == nil {
			return c.WriteMessage(Pong, p)
		}
		c.OnPing(p)
	case Pong:
		if c.OnPong != nil {
			c.OnPong()
		}
	case closing:
		return parseClose(p)
	}
	return nil
}

// header is a frame header that passed the rules.
type header struct {
	fin    bool
	op     Op
	packed bool // the message that begins here is compressed
	masked bool
	key    [4]byte
	size   int // of the header itself
	n      int // of the payload
}

// readFrame waits for a frame, consumes it and unmasks its payload in place. The
// payload is valid until the next need. Until the frame is there whole nothing
// of it is consumed, so it can be begun again.
func (c *Conn) readFrame(space int) (h header, p []byte, err error) {
	if h, err = c.readHeader(space); err != nil {
		return h, nil, err
	}
	end := h.size + h.n
	if err = c.need(end); err != nil {
		return h, nil, err
	}
	p = c.buf[c.r+h.size : c.r+end : c.r+end]
	c.r += end
	if h.masked {
		mask(p, h.key)
	}
	return h, p, nil
}

// readHeader reads and judges a frame header, and does not consume it. space is
// how many bytes of payload a data frame may have. Every rule that does not
// need the payload is checked here, before a byte of it is waited for or a place
// for it is made.
func (c *Conn) readHeader(space int) (h header, err error) {
	if err := c.need(2); err != nil {
		if err == io.ErrUnexpectedEOF && c.r == c.w && c.begun == nil {
			err = io.EOF // between messages: the peer just left
		}
		return h, err
	}
	b0, b1 := c.buf[c.r], c.buf[c.r+1]
	h.fin, h.op, h.masked = b0&finBit != 0, Op(b0&opBits), b1&maskBit != 0
	h.packed = c.deflate && b0&rsvBits == rsv1Bit && (h.op == Text || h.op == Binary)
	if err := c.checkBits(&h, b0, b1, c.begun != nil); err != nil {
		return h, err
	}
	n, err := c.readLength(&h, b1&^maskBit)
	if err != nil {
		return h, err
	}
	if !h.op.control() && n > uint64(max(space, 0)) {
		return h, &Error{CodeTooLarge, "message is too large"}
	}
	h.n = int(n)
	return h, nil
}

func (c *Conn) checkBits(h *header, b0, b1 byte, inside bool) error {
	switch {
	case b0&rsvBits != 0 && !h.packed:
		return protocolError("reserved bit is set")
	case !h.op.known():
		return protocolError("unknown opcode")
	case h.masked == c.client:
		return protocolError("frame is masked by a server or not masked by a client")
	case h.op.control() && !h.fin:
		return protocolError("control frame is fragmented")
	case h.op.control() && b1&^maskBit > maxControl:
		return protocolError("control frame is too large")
	case h.op == continuation && !inside:
		return protocolError("nothing to continue")
	case (h.op == Text || h.op == Binary) && inside:
		return protocolError("new message inside another")
	}
	return nil
}

// readLength reads the rest of the header, with the mask, and returns the
// announced payload length, which may be anything up to 2^63-1.
func (c *Conn) readLength(h *header, short byte) (n uint64, err error) {
	size := 2
	switch short {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	keyAt := size
	if h.masked {
		size += len(h.key)
	}
	if err := c.need(size); err != nil {
		return 0, err
	}
	b := c.buf[c.r : c.r+size]
	switch short {
	case 126:
		n = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		n = binary.BigEndian.Uint64(b[2:])
	default:
		n = uint64(short)
	}
	if n>>63 != 0 {
		return 0, protocolError("length has its top bit set")
	}
	if short == 126 && n < 126 || short == 127 && n < 1<<16 {
		return 0, protocolError("length is not in its shortest form")
	}
	copy(h.key[:], b[keyAt:])
	h.size = size
	return n, nil
}

// need waits until n unconsumed bytes are in the buffer. The buffer doubles
// only when it is full of received bytes, and is exchanged for a small one when
// there is nothing in it.
func (c *Conn) need(n int) error {
	for c.w-c.r < n {
		switch {
		case c.r == c.w:
			if len(c.buf) != readBuffer {
				c.freeBuffer()
				c.buf = buffers.Get().(*[readBuffer]byte)[:]
			}
			c.r, c.w = 0, 0
		case c.r+n > len(c.buf) && c.r > 0:
			c.w = copy(c.buf, c.buf[c.r:c.w])
			c.r = 0
		}
		if c.w == len(c.buf) {
			grown := make([]byte, min(n, 2*len(c.buf)))
			c.w = copy(grown, c.buf[:c.w])
			c.buf = grown
		}
		m, err := c.read(c.buf[c.w:])
		c.w += m
		if err != nil && c.w-c.r < n {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

func (c *Conn) read(p []byte) (int, error) {
	if c.Source != nil {
		return c.Source.Read(p)
	}
	return c.nc.Read(p)
}

// freeBuffer lets go of the buffer if there is nothing in it.
func (c *Conn) freeBuffer() {
	if c.r != c.w {
		return
	}
	if len(c.buf) == readBuffer {
		buffers.Put((*[readBuffer]byte)(c.buf))
	}
	c.buf, c.r, c.w = nil, 0, 0
}
