package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/roomtide/roomtide/wire"
)

// conn is a WebSocket with the least cost on the client's side: frames are parsed
// in place in the buffer, and written with a mask of zeros, which is legal and needs
// no pass over the bytes. It may be opened again.
type conn struct {
	// Set once.
	proto proto
	addr  string
	from  net.Addr // nil: the system chooses
	far   bool     // the network between is an ordinary one, not loopback
	// device is the name of the one that enter registers, "" for none.
	device string

	br *bufio.Reader // owned by the reader

	writing sync.Mutex // one write after the other

	mu     sync.Mutex
	nc     net.Conn // changed by the reader under mu
	closed bool     // for good; guarded by mu
}

const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xA

	// readBuffer takes a few dozen messages of ordinary size in one read.
	readBuffer = 8 << 10

	// openTime bounds everything until a connection is of use, as the stock
	// clients do.
	openTime = 20 * time.Second
)

// newConn prepares the i-th connection. Loopback connections use many source
// addresses, so that the ports of one are not exhausted.
func newConn(p proto, addr string, i int) *conn {
	c := &conn{proto: p, addr: addr}
	if strings.HasPrefix(addr, "127.") {
		c.from = &net.TCPAddr{IP: net.IPv4(127, 0, byte(1+i/200%200), byte(1+i%200))}
	}
	return c
}

// open connects, again if the connection was open before. The reader calls it.
func (c *conn) open(ctx context.Context) error {
	d := net.Dialer{Timeout: openTime, LocalAddr: c.from}
	if c.far {
		d.Control = farAway
	}
	nc, err := d.DialContext(ctx, "tcp", c.addr)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.nc = nc
	closed := c.closed
	c.mu.Unlock()
	if closed {
		nc.Close()
		return net.ErrClosed
	}
	if c.br == nil {
		c.br = bufio.NewReaderSize(nc, readBuffer)
	} else {
		c.br.Reset(nc)
	}
	if err := nc.SetDeadline(time.Now().Add(openTime)); err != nil {
		return err
	}
	err = c.upgrade()
	if err != nil {
		nc.Close()
	}
	return err
}

// handshakeKey could be any 16 bytes.
var handshakeKey = base64.StdEncoding.EncodeToString([]byte("roomtide bench!!"))

func (c *conn) upgrade() error {
	_, err := fmt.Fprintf(c.nc, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
		c.proto.path(), c.addr, handshakeKey)
	if err != nil {
		return err
	}
	status, err := c.br.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 101 ")) {
		return fmt.Errorf("the server answered %q", bytes.TrimSpace(status))
	}
	for {
		line, err := c.br.ReadSlice('\n')
		if err != nil || len(line) <= len("\r\n") {
			return err
		}
	}
}

// close ends the connection for good.
func (c *conn) close() { c.end(true) }

// cut ends the connection as a failed network does: with a reset, and without a
// close frame.
func (c *conn) cut() { c.end(false) }

func (c *conn) end(forGood bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = c.closed || forGood
	if c.nc == nil {
		return
	}
	if tcp, ok := c.nc.(*net.TCPConn); ok && !forGood {
		_ = tcp.SetLinger(0) // an error means that it has ended
	}
	c.nc.Close()
}

// enter says hello, registers the device if there is one, joins the room, and returns
// the answer to the join. The deadline of open ends with it.
func (c *conn) enter(user, room string) (*wire.ServerFrame, error) {
	if err := c.proto.hello(c, user); err != nil {
		return nil, err
	}
	if c.device != "" {
		if err := c.command("register_device", 4, `"device":"bench","provider":"log","address":{"name":"`+c.device+`"}`); err != nil {
			return nil, err
		}
		if _, err := c.answer(4); err != nil {
			return nil, err
		}
	}
	if err := c.command("join", 2, `"room":"`+room+`","limit":1`); err != nil {
		return nil, err
	}
	f, err := c.answer(2)
	if err != nil {
		return nil, err
	}
	return f, c.nc.SetDeadline(time.Time{})
}

// join joins the room again after a rev. The refusal of the server is a
// *chat.Error.
func (c *conn) join(room string, after int64) (*wire.ServerFrame, error) {
	if err := c.command("join", 3, `"room":"`+room+`","after":`+strconv.FormatInt(after, 10)); err != nil {
		return nil, err
	}
	return c.answer(3)
}

// answer waits for the reply to command id.
func (c *conn) answer(id int64) (*wire.ServerFrame, error) {
	for {
		p, err := c.next()
		if err != nil {
			return nil, err
		}
		if !p.reply || p.id != id {
			continue
		}
		f, err := wire.DecodeServer(p.object)
		if err != nil {
			return nil, err
		}
		if f.Err != nil {
			return nil, f.Err
		}
		return f, nil
	}
}

// next returns the next frame of the server. It is valid until the next call.
func (c *conn) next() (frame, error) {
	p, err := c.message()
	if err != nil {
		return frame{}, err
	}
	return c.proto.parse(p), nil
}

// message returns the next message, which is valid until the next call. It
// answers pings: those of WebSocket, and those of Engine.IO, which are a 2.
// Servers of these protocols do not fragment.
func (c *conn) message() ([]byte, error) {
	for {
		op, p, err := c.wsFrame()
		if err != nil {
			return nil, err
		}
		switch {
		case op == opPing:
			err = c.write(appendFrame(nil, opPong, p))
		case op == opClose:
			err = fmt.Errorf("closed by the server: %q", p)
		case op == opText && len(p) == 1 && p[0] == '2':
			err = c.write(appendFrame(nil, opText, []byte{'3'}))
		case op == opText:
			return p, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (c *conn) wsFrame() (op byte, p []byte, err error) {
	h, err := c.br.Peek(2)
	if err != nil {
		return 0, nil, err
	}
	op, n, head := h[0]&0xF, int(h[1]), 2
	if h[0]&0xF0 != 0x80 || n > 127 {
		return 0, nil, errors.New("not a frame of this server")
	}
	if n >= 126 {
		head = map[int]int{126: 4, 127: 10}[n]
		if h, err = c.br.Peek(head); err != nil {
			return 0, nil, err
		}
		n = int(binary.BigEndian.Uint16(h[2:]))
		if head == 10 {
			n = int(binary.BigEndian.Uint64(h[2:]))
		}
	}
	if _, err := c.br.Discard(head); err != nil {
		return 0, nil, err
	}
	p, err = c.payload(n)
	return op, p, err
}

func (c *conn) payload(n int) ([]byte, error) {
	if n > readBuffer {
		p := make([]byte, n)
		_, err := io.ReadFull(c.br, p)
		return p, err
	}
	p, err := c.br.Peek(n)
	if err == nil {
		_, err = c.br.Discard(n) // p stays in the buffer until the next Peek
	}
	return p, err
}

func (c *conn) command(name string, id int64, fields string) error {
	return c.write(appendFrame(nil, opText, c.proto.appendCommand(nil, name, id, []byte(fields))))
}

func (c *conn) write(frame []byte) error {
	c.mu.Lock()
	nc := c.nc
	c.mu.Unlock()
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err := nc.Write(frame)
	return err
}

// appendFrame appends a client's frame with a mask of zeros.
func appendFrame(dst []byte, op byte, p []byte) []byte {
	dst = append(dst, 0x80|op)
	switch n := len(p); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	return append(append(dst, 0, 0, 0, 0), p...)
}
