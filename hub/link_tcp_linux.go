package hub

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/roomtide/roomtide/chat"
)

// tcpLink writes to a plain TCP socket without waiting and without a goroutine.
type tcpLink struct {
	// Set by NewTCPLink.
	conn    *net.TCPConn
	raw     syscall.RawConn
	goodbye func(chat.Goodbye) []byte
	tryFn   func(fd uintptr) bool // l.try, bound once so that a write allocates nothing

	// Safe for any goroutine.
	closed atomic.Bool
	cut    atomic.Bool // the last write was short: a frame may be cut

	// Owned by who calls TryWrite.
	bufs net.Buffers
	n    int
	err  error
}

// NewTCPLink returns the link of a TCP connection. goodbye returns the bytes
// that say goodbye on it; it may be nil. Close says goodbye, ends the writing
// half and gives the peer two seconds to end the other: then reading fails, and
// whoever reads closes the connection.
func NewTCPLink(c *net.TCPConn, goodbye func(g chat.Goodbye) []byte) Link {
	l := &tcpLink{conn: c, goodbye: goodbye}
	l.tryFn = l.try
	raw, err := c.SyscallConn()
	if err != nil {
		l.closed.Store(true)
		return l
	}
	l.raw = raw
	return l
}

func (l *tcpLink) TryWrite(bufs net.Buffers) (int, error) {
	if l.closed.Load() {
		return 0, net.ErrClosed
	}
	l.bufs, l.n, l.err = bufs, 0, nil
	err := l.raw.Write(l.tryFn)
	l.bufs = nil
	if l.err != nil {
		err = l.err
	}
	return l.n, err
}

// try runs while nobody else writes to the socket.
func (l *tcpLink) try(fd uintptr) bool {
	const maxBufs = 1024 // IOV_MAX
	for len(l.bufs) > 0 {
		bufs := l.bufs[:min(len(l.bufs), maxBufs)]
		n, err := writev(int(fd), bufs)
		if err != nil && err != unix.EAGAIN {
			l.err = os.NewSyscallError("writev", err)
			return true
		}
		l.n += n
		if n < size(bufs) {
			l.cut.Store(true)
			return true
		}
		l.bufs = l.bufs[len(bufs):]
	}
	l.cut.Store(false)
	return true
}

// writev writes bufs as far as the socket takes them now.
func writev(fd int, bufs [][]byte) (n int, err error) {
	for {
		if len(bufs) == 1 {
			n, err = unix.Write(fd, bufs[0])
		} else {
			n, err = unix.Writev(fd, bufs)
		}
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

func (l *tcpLink) WaitWritable(timeout time.Duration) error {
	if l.closed.Load() {
		return net.ErrClosed
	}
	if err := l.conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	// The runtime reports only that the socket became writable, so what it is
	// now has to be asked after it began to listen.
	err := l.raw.Write(func(fd uintptr) bool {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		n, err := unix.Poll(fds, 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
	return errors.Join(err, l.conn.SetWriteDeadline(time.Time{}))
}

func (l *tcpLink) Close(g chat.Goodbye) {
	if l.closed.Swap(true) {
		return
	}
	if l.cut.Load() { // somebody may be in WaitWritable, and nothing can be said behind half a frame
		_ = l.conn.SetLinger(0)
		_ = l.conn.Close()
		return
	}
	const linger = 2 * time.Second
	if l.goodbye != nil && l.raw != nil {
		bye := l.goodbye(g)
		// A connection that does not take it ends without.
		_ = l.raw.Write(func(fd uintptr) bool {
			if !l.cut.Load() {
				_, _ = unix.Write(int(fd), bye)
			}
			return true
		})
	}
	_ = l.conn.CloseWrite()
	_ = l.conn.SetReadDeadline(time.Now().Add(linger))
}
