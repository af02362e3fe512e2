package bench

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/roomtide/roomtide/wire"
)

// conn is a WebSocket that costs its machine as little as it can: frames are
// looked at where they lie in the buffer, and written with a mask of zeros,
// which is legal and needs no pass over the bytes.
type conn struct {
	nc net.Conn
	br *bufio.Reader // owned by the reader
	mu sync.Mutex    // guards writes
}

const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xA

	// readBuffer takes a few dozen messages of ordinary size in one read.
	readBuffer = 8 << 10
)

// dialConn opens the i-th connection. Loopback connections come from many
// source addresses, so that the ports of one do not run out.
func dialConn(ctx context.Context, addr string, i int) (*conn, error) {
	d := net.Dialer{Timeout: 20 * time.Second}
	if strings.HasPrefix(addr, "127.") {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%200))}
	}
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &conn{nc: nc, br: bufio.NewReaderSize(nc, readBuffer)}
	if err := c.upgrade(addr); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

func (c *conn) upgrade(addr string) error {
	var key [16]byte
	_, _ = rand.Read(key[:]) // never fails
	if err := c.nc.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.nc, "GET /ws HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
		addr, base64.StdEncoding.EncodeToString(key[:]))
	if err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.br, &http.Request{Method: http.MethodGet})
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("the server answered %s", resp.Status)
	}
	return nil
}

// enter says hello and joins the room, and returns the answer to the join.
func (c *conn) enter(user, room string) (*wire.ServerFrame, error) {
	if err := c.text(`{"type":"hello","id":1,"user":"` + user + `"}`); err != nil {
		return nil, err
	}
	if _, err := c.answer(1); err != nil {
		return nil, err
	}
	if err := c.text(`{"type":"join","id":2,"room":"` + room + `","limit":1}`); err != nil {
		return nil, err
	}
	f, err := c.answer(2)
	if err != nil {
		return nil, err
	}
	return f, c.nc.SetDeadline(time.Time{})
}

// answer waits for the reply to command id.
func (c *conn) answer(id int64) (*wire.ServerFrame, error) {
	for {
		p, err := c.next()
		if err != nil {
			return nil, err
		}
		f, err := wire.DecodeServer(p)
		if err != nil {
			return nil, err
		}
		if f.HasID && f.ID == id {
			if f.Err != nil {
				return nil, f.Err
			}
			return f, nil
		}
	}
}

// next returns the next message, which is valid until the next call. It
// answers pings. Servers of this protocol do not fragment.
func (c *conn) next() ([]byte, error) {
	for {
		h, err := c.br.Peek(2)
		if err != nil {
			return nil, err
		}
		op, n, head := h[0]&0xF, int(h[1]), 2
		if h[0]&0xF0 != 0x80 || n > 127 {
			return nil, errors.New("not a frame of this server")
		}
		if n >= 126 {
			head = map[int]int{126: 4, 127: 10}[n]
			if h, err = c.br.Peek(head); err != nil {
				return nil, err
			}
			n = int(binary.BigEndian.Uint16(h[2:]))
			if head == 10 {
				n = int(binary.BigEndian.Uint64(h[2:]))
			}
		}
		if _, err := c.br.Discard(head); err != nil {
			return nil, err
		}
		p, err := c.payload(n)
		if err != nil {
			return nil, err
		}
		switch op {
		case opPing:
			if err := c.write(appendFrame(nil, opPong, p)); err != nil {
				return nil, err
			}
		case opClose:
			return nil, fmt.Errorf("closed by the server: %q", p)
		case opText:
			return p, nil
		}
	}
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

func (c *conn) text(s string) error { return c.write(appendFrame(nil, opText, []byte(s))) }

func (c *conn) write(frame []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.nc.Write(frame)
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
