package poll

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Socket is a connection that can be parked.
type Socket struct {
	// Set once.
	poller  *Poller
	raw     syscall.RawConn
	sleeper Sleeper

	empty    bool // owned by the reader: a Read took all there was, since the last Park
	released bool // guarded by poller.mu

	// Safe for any goroutine.
	armed atomic.Bool // a Park waits for its Wake

	// Set by the first Park, under poller.mu.
	fd     int32
	number uint32 // unlike that of any other socket; 0 before the first Park
}

// Open makes s the socket of c that wakes sleeper. Nothing is watched before it
// is parked.
func (s *Socket) Open(p *Poller, c syscall.Conn, sleeper Sleeper) (err error) {
	s.poller, s.sleeper = p, sleeper
	s.raw, err = c.SyscallConn()
	return err
}

// call is the arguments of a function that runs while the descriptor cannot be
// closed. It is kept for the next one, so that reading allocates nothing.
type call struct {
	s   *Socket
	p   []byte
	n   int
	err error

	// Set once: methods of this call.
	readFn func(fd uintptr) bool
	armFn  func(fd uintptr)
}

var calls = sync.Pool{New: func() any {
	c := new(call)
	c.readFn, c.armFn = c.read, c.arm
	return c
}}

func (c *call) free() {
	c.s, c.p, c.n, c.err = nil, nil, 0, nil
	calls.Put(c)
}

// Read reads what is there. Where there is nothing it does not wait and returns
// syscall.EAGAIN; then there may be more only after Park.
func (s *Socket) Read(p []byte) (int, error) {
	switch {
	case len(p) == 0:
		return 0, nil
	case s.empty: // no need to ask the kernel, Park does
		return 0, syscall.EAGAIN
	}
	c := calls.Get().(*call)
	defer c.free()
	c.p = p
	if err := s.raw.Read(c.readFn); err != nil {
		return 0, err
	}
	s.empty = c.err == nil && c.n < len(p)
	return c.n, c.err
}

func (c *call) read(fd uintptr) bool {
	for {
		// Of package syscall, as in package net: so the race detector knows that
		// what was written came before what is read.
		n, err := syscall.Read(int(fd), c.p)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			c.err = syscall.EAGAIN
		case err != nil:
			c.err = os.NewSyscallError("read", err)
		case n == 0:
			c.err = io.EOF
		}
		c.n = max(n, 0)
		return true
	}
}

// Park lets the poller watch the socket and wake the sleeper, at once if there
// is something to read already. After an error there is no Wake.
func (s *Socket) Park() error {
	c := calls.Get().(*call)
	defer c.free()
	c.s = s
	s.empty = false
	s.armed.Store(true) // from here on another goroutine may have it
	if err := s.raw.Control(c.armFn); err != nil {
		return err
	}
	return c.err
}

// arm asks for one event.
func (c *call) arm(fd uintptr) {
	s := c.s
	if s.number == 0 {
		c.err = s.poller.add(s, int32(fd))
		return
	}
	c.err = s.control(unix.EPOLL_CTL_MOD)
}

func (s *Socket) control(op int) error {
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(s.poller.epfd, op, int(s.fd), &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: s.fd, Pad: int32(s.number),
	}))
}

// add watches a socket for the first time. The lock is held throughout, so that
// Release comes before it or after it and never between.
func (p *Poller) add(s *Socket, fd int32) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.released {
		return net.ErrClosed
	}
	if p.last++; p.last == 0 { // after all 2^32; the oldest are long gone
		p.last++
	}
	for int(fd) >= len(p.sockets) {
		p.sockets = append(p.sockets, nil)
	}
	s.fd, s.number = fd, p.last
	if err := s.control(unix.EPOLL_CTL_ADD); err != nil {
		s.number = 0
		return err
	}
	p.sockets[fd] = s
	return nil
}

// Release ends the watching. It comes before the connection is closed.
func (s *Socket) Release() {
	p := s.poller
	p.mu.Lock()
	s.released = true
	watched := s.number != 0 && p.sockets[s.fd] == s
	if watched {
		p.sockets[s.fd] = nil
	}
	p.mu.Unlock()
	if watched {
		// Where the connection was closed already, the kernel has forgotten it.
		_ = s.raw.Control(func(uintptr) { _ = s.control(unix.EPOLL_CTL_DEL) })
	}
}
