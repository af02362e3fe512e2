package websocket

import (
	"encoding/binary"
	"io"
	"unicode/utf8"
)

const (
	// readBuffer is what an idle connection holds.
	readBuffer = 1 << 10

	// maxFragments bounds the frames of one message: without it a message of
	// many empty fragments would never reach the size limit.
	maxFragments = 1024
)

// ReadMessage waits for the next text or binary message of at most limit bytes
// and joins its fragments. Pings, pongs and their callbacks are handled on the
// way. payload is valid until the next call.
//
// The error is a *CloseError when the peer said goodbye, an *Error when it
// broke the rules, io.EOF or another error of the connection when it is gone.
// After an error every call returns the same error.
func (c *Conn) ReadMessage(limit int) (op Op, payload []byte, err error) {
	if c.err != nil {
		return 0, nil, c.err
	}
	op, payload, c.err = c.readMessage(limit)
	return op, payload, c.err
}

func (c *Conn) readMessage(limit int) (Op, []byte, error) {
	var first Op // of a fragmented message; 0 when none has begun
	fragments := 0
	c.joined = nil
	for {
		h, err := c.readHeader(limit-len(c.joined), first != 0)
		if err != nil {
			return 0, nil, err
		}
		p, err := c.readPayload(&h)
		if err != nil {
			return 0, nil, err
		}
		switch {
		case h.op.control():
			if err := c.control(h.op, p); err != nil {
				return 0, nil, err
			}
			continue
		case h.fin && first == 0:
			return finish(h.op, p)
		case first == 0:
			first = h.op
		}
		if fragments++; fragments > maxFragments {
			return 0, nil, &Error{CodeTooLarge, "too many fragments"}
		}
		c.joined = append(c.joined, p...)
		if h.fin {
			return finish(first, c.joined)
		}
	}
}

func finish(op Op, p []byte) (Op, []byte, error) {
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
	masked bool
	key    [4]byte
	n      int
}

// readHeader reads and judges a frame header. room is how many bytes of
// payload a data frame may have; inside says that a fragmented message has
// begun. Every rule that does not need the payload is checked here, before a
// byte of it is waited for or a place for it is made.
func (c *Conn) readHeader(room int, inside bool) (h header, err error) {
	if err := c.need(2); err != nil {
		if err == io.ErrUnexpectedEOF && c.r == c.w && !inside {
			err = io.EOF // between messages: the peer just left
		}
		return h, err
	}
	b0, b1 := c.buf[c.r], c.buf[c.r+1]
	h.fin, h.op, h.masked = b0&finBit != 0, Op(b0&opBits), b1&maskBit != 0
	if err := c.checkBits(&h, b0, b1, inside); err != nil {
		return h, err
	}
	n, err := c.readLength(&h, b1&^maskBit)
	if err != nil {
		return h, err
	}
	if !h.op.control() && n > uint64(max(room, 0)) {
		return h, &Error{CodeTooLarge, "message is too large"}
	}
	h.n = int(n)
	return h, nil
}

func (c *Conn) checkBits(h *header, b0, b1 byte, inside bool) error {
	switch {
	case b0&rsvBits != 0:
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

// readLength consumes the header including the mask and returns the announced
// payload length, which may be anything up to 2^63-1.
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
	c.r += size
	return n, nil
}

// readPayload waits for the payload of h and unmasks it in place. It is valid
// until the next need.
func (c *Conn) readPayload(h *header) ([]byte, error) {
	if err := c.need(h.n); err != nil {
		return nil, err
	}
	p := c.buf[c.r : c.r+h.n : c.r+h.n]
	c.r += h.n
	if h.masked {
		mask(p, h.key)
	}
	return p, nil
}

// need waits until n unconsumed bytes are in the buffer. The buffer doubles
// only when it is full of received bytes and goes back to its first size when
// there is nothing in it.
func (c *Conn) need(n int) error {
	for c.w-c.r < n {
		switch {
		case c.r == c.w:
			c.r, c.w = 0, 0
			if len(c.buf) > readBuffer {
				c.buf = make([]byte, readBuffer)
			}
		case c.r+n > len(c.buf) && c.r > 0:
			c.w = copy(c.buf, c.buf[c.r:c.w])
			c.r = 0
		}
		if c.w == len(c.buf) {
			grown := make([]byte, min(n, 2*len(c.buf)))
			c.w = copy(grown, c.buf[:c.w])
			c.buf = grown
		}
		m, err := c.nc.Read(c.buf[c.w:])
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
