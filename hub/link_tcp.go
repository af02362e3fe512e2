package hub

import (
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/netwrite"
)

// tcpLink writes to a plain TCP socket without blocking, copying or a goroutine.
type tcpLink struct {
	// Set by NewTCPLink.
	conn    *net.TCPConn
	out     netwrite.TCP
	goodbye func(chat.Goodbye) []byte

	// Safe for any goroutine.
	closed atomic.Bool
}

// NewTCPLink returns the link of a TCP connection. goodbye returns the bytes
// of the goodbye; it may be nil. Close writes the goodbye, ends the writing
// half and gives the peer two seconds to end the other: then reading fails, and
// the reader closes the connection.
func NewTCPLink(c *net.TCPConn, goodbye func(g chat.Goodbye) []byte) Link {
	l := &tcpLink{conn: c, goodbye: goodbye}
	if l.out.Open(c) != nil { // closed already, or a system without the fast way
		b := NewBufferedLink(c, 0, goodbye)
		go func() { _ = b.Run() }() // ends with the connection; its reader learns of the error itself
		return b
	}
	return l
}

func (l *tcpLink) TryWrite(bufs net.Buffers) (int, error) {
	if l.closed.Load() {
		return 0, net.ErrClosed
	}
	return l.out.Try(bufs)
}

func (l *tcpLink) WaitWritable(timeout time.Duration) error {
	if l.closed.Load() {
		return net.ErrClosed
	}
	if err := l.conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	return errors.Join(l.out.Wait(), l.conn.SetWriteDeadline(time.Time{}))
}

func (l *tcpLink) Close(g chat.Goodbye) {
	if l.closed.Swap(true) {
		return
	}
	if l.out.Cut() { // WaitWritable may hold the descriptor, and nothing may follow half a frame
		_ = l.conn.SetLinger(0)
		_ = l.conn.Close()
		return
	}
	const linger = 2 * time.Second
	if l.goodbye != nil {
		l.out.Last(l.goodbye(g))
	}
	_ = l.conn.CloseWrite()
	_ = l.conn.SetReadDeadline(time.Now().Add(linger))
}
