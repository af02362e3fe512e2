package websocket

import (
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
)

// Conn is one side of a WebSocket after the handshake.
type Conn struct {
	// Set before the first ReadMessage, not changed after. Both run inside
	// ReadMessage and must not wait. payload is valid only during the call. A
	// nil OnPing answers each ping with WriteMessage.
	OnPing func(payload []byte)
	OnPong func()

	// Source is where bytes come from; nil is NetConn. It may be one that does
	// not wait: when it says syscall.EAGAIN, so does ReadMessage, which goes on
	// where it was the next time it is called. Changed by the reader only, between
	// two calls.
	Source io.Reader

	// Set once.
	nc       net.Conn
	client   bool
	deflate  bool // permessage-deflate was agreed on
	protocol string

	// Owned by the reader.
	buf   []byte // buf[r:w] was received and not yet consumed; nil while there is nothing
	r, w  int
	begun *fragments // of a message; nil between messages
	err   error      // why nothing more can be read

	mu sync.Mutex // guards writes to nc by this package
}

// newConn takes over nc. early is what was received after the handshake; it is
// copied. The caller sets deflate.
func newConn(nc net.Conn, client bool, protocol string, early []byte) *Conn {
	c := &Conn{nc: nc, client: client, protocol: protocol}
	if len(early) > 0 {
		c.buf = make([]byte, max(readBuffer, len(early)))
		c.w = copy(c.buf, early)
	}
	return c
}

// NetConn is the connection below. A program that writes to it writes whole frames
// and does not use WriteMessage at the same time.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Protocol is the subprotocol both sides agreed on, or "".
func (c *Conn) Protocol() string { return c.protocol }

// Deflate reports whether both sides agreed on permessage-deflate: the peer
// reads what DeflateFrame makes, and plain frames as ever.
func (c *Conn) Deflate() bool { return c.deflate }

// WriteMessage sends one message, or a ping or pong, in one frame and one
// write. It blocks while the peer's window is full (backpressure); set a deadline on NetConn
// to bound that. p is not changed. Where Deflate was agreed on, a message is
// compressed if that makes it smaller.
func (c *Conn) WriteMessage(op Op, p []byte) error {
	switch {
	case op != Text && op != Binary && op != Ping && op != Pong:
		return errors.New("websocket: not an opcode of a message")
	case op.control() && len(p) > maxControl:
		return errors.New("websocket: ping or pong with more than 125 bytes")
	}
	return c.writeFrame(op, p)
}

// WriteClose sends a close frame. Nothing may be written after it.
func (c *Conn) WriteClose(code int, reason string) error {
	return c.writeFrame(closing, closePayload(code, reason))
}

// Close closes the connection below without a close frame.
func (c *Conn) Close() error { return c.nc.Close() }

// frames are buffers for frames on their way out. Most connections are silent
// most of the time, so none has its own.
var frames = sync.Pool{New: func() any { return new([]byte) }}

// keepOut is how large a write buffer may stay between messages.
const keepOut = 4 << 10

func (c *Conn) writeFrame(op Op, p []byte) error {
	out := frames.Get().(*[]byte)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deflate {
		deflate(op, p, func(op Op, p []byte) { *out = c.appendFrame((*out)[:0], op, p) })
	} else {
		*out = c.appendFrame((*out)[:0], op, p)
	}
	_, err := c.nc.Write(*out)
	if cap(*out) <= keepOut {
		frames.Put(out)
	}
	return err
}

// appendFrame appends a frame with p.
func (c *Conn) appendFrame(dst []byte, op Op, p []byte) []byte {
	if !c.client {
		return append(AppendHeader(dst, op, len(p)), p...)
	}
	// The key must be unpredictable to the author of p (a page in a browser,
	// RFC 6455 section 10.3). The process-wide generator is ChaCha8 seeded by
	// the operating system, and needs no system call for each frame.
	var key [4]byte
	binary.LittleEndian.PutUint32(key[:], rand.Uint32())
	dst = append(appendHeader(dst, op, len(p), maskBit), key[:]...)
	n := len(dst)
	dst = append(dst, p...)
	mask(dst[n:], key)
	return dst
}
