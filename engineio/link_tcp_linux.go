package engineio

import (
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// tcpOutlet writes to a plain TCP connection without waiting, copying or a
// goroutine.
type tcpOutlet struct {
	// set once
	tcp   *net.TCPConn
	raw   syscall.RawConn
	tryFn func(fd uintptr) bool // o.writeNow, bound once so that a write allocates nothing

	// owned by who calls try
	bufs [][]byte
	n    int
	err  error
}

// newTCPOutlet returns nil if the connection is closed.
func newTCPOutlet(c *net.TCPConn) outlet {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	o := &tcpOutlet{tcp: c, raw: raw}
	o.tryFn = o.writeNow
	return o
}

func (o *tcpOutlet) try(bufs [][]byte) (int, error) {
	o.bufs, o.n, o.err = bufs, 0, nil
	err := o.raw.Write(o.tryFn)
	o.bufs = nil
	if o.err != nil {
		err = o.err
	}
	return o.n, err
}

// writeNow always returns true: it does not want to be called again.
func (o *tcpOutlet) writeNow(fd uintptr) bool {
	const maxBufs = 1024 // IOV_MAX
	for len(o.bufs) > 0 {
		part := o.bufs[:min(len(o.bufs), maxBufs)]
		n, err := writev(int(fd), part)
		if err != nil && err != unix.EAGAIN {
			o.err = os.NewSyscallError("writev", err)
			return true
		}
		if o.n += n; n < length(part) {
			return true
		}
		o.bufs = o.bufs[len(part):]
	}
	return true
}

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

func (o *tcpOutlet) wait() error {
	// The runtime reports only that a socket became writable, so what it is now
	// has to be asked after it began to listen.
	return o.raw.Write(func(fd uintptr) bool {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		n, err := unix.Poll(fds, 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
}

func (o *tcpOutlet) end() { _ = o.tcp.CloseWrite() } // its reader closes it in any case
