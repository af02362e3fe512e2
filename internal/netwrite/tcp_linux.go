package netwrite

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// TCP writes to one plain TCP connection. The owner of the connection holds it
// by value. Try and Wait are never called at the same time; Cut and Last by any
// goroutine.
type TCP struct {
	// Set by Open.
	raw syscall.RawConn

	// Safe for any goroutine.
	cut atomic.Bool // the last write was short; changes while the descriptor is locked for writing
}

// Open makes w the writer of a connection. It fails if the connection is closed,
// and on systems other than Linux.
func (w *TCP) Open(c *net.TCPConn) (err error) {
	w.raw, err = c.SyscallConn()
	return err
}

// call is the arguments of a function that runs with the descriptor locked for
// writing. It is pooled, so that writing allocates nothing and an idle connection
// holds none.
type call struct {
	conn *TCP
	bufs [][]byte
	n    int
	err  error

	tryFn func(fd uintptr) bool // c.try; set once
}

var calls = sync.Pool{New: func() any {
	c := new(call)
	c.tryFn = c.try
	return c
}}

// Try writes as much of bufs as the peer accepts now. n less than Size(bufs)
// with a nil err means that it accepts no more now.
func (w *TCP) Try(bufs [][]byte) (n int, err error) {
	c := calls.Get().(*call)
	c.conn, c.bufs = w, bufs
	err = w.raw.Write(c.tryFn)
	if c.err != nil {
		err = c.err
	}
	n = c.n
	c.conn, c.bufs, c.n, c.err = nil, nil, 0, nil
	calls.Put(c)
	return n, err
}

// try runs with the descriptor locked for writing. It always returns true: it is
// not to be called again.
func (c *call) try(fd uintptr) bool {
	const maxBufs = 1024 // IOV_MAX
	for len(c.bufs) > 0 {
		part := c.bufs[:min(len(c.bufs), maxBufs)]
		n, err := write(int(fd), part)
		if err != nil && err != unix.EAGAIN {
			c.err = os.NewSyscallError("writev", err)
			return true
		}
		c.n += n
		if n < Size(part) {
			c.conn.cut.Store(true)
			return true
		}
		c.bufs = c.bufs[len(part):]
	}
	c.conn.cut.Store(false)
	return true
}

func write(fd int, bufs [][]byte) (n int, err error) {
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

// Wait waits until Try can make progress. The write deadline of the connection,
// or closing it, ends the wait with an error.
func (w *TCP) Wait() error {
	// The runtime reports only that a socket became writable, so whether it is
	// writable now has to be asked after the runtime began to watch it.
	return w.raw.Write(func(fd uintptr) bool {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		n, err := unix.Poll(fds, 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
}

// Cut reports whether the last write was short: the peer may have a part of a
// frame.
func (w *TCP) Cut() bool { return w.cut.Load() }

// Last writes p, as far as the peer accepts it now, unless the last write was
// short. It waits for a Try or a Wait in progress.
func (w *TCP) Last(p []byte) {
	// A connection that does not accept it ends without.
	_ = w.raw.Write(func(fd uintptr) bool {
		if !w.cut.Load() {
			_, _ = unix.Write(int(fd), p)
		}
		return true
	})
}
