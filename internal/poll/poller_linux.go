package poll

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Poller watches parked sockets. It is safe for concurrent use.
type Poller struct {
	// Set by New.
	file  *os.File // the epoll instance, as the runtime sees it
	epfd  int
	done  chan struct{} // closed when run has returned
	ended chan struct{} // closed when drainClosed has returned

	grown    chan struct{} // holds one token: closing has grown; closed by run
	deferred atomic.Uint64 // closing connections that were not woken at once

	// Guarded by mu.
	mu      sync.Mutex
	sockets []*Socket // by descriptor
	last    uint32    // number given to the latest Socket
	closing []Sleeper // their peers have ended; woken in this order, each once
}

// New makes a Poller and starts its goroutine. Close ends it.
func New() (*Poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(epfd, true); err != nil {
		_ = unix.Close(epfd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &Poller{
		file: os.NewFile(uintptr(epfd), "epoll"), epfd: epfd,
		done: make(chan struct{}), ended: make(chan struct{}), grown: make(chan struct{}, 1),
	}
	// Only a file that the runtime watches takes a deadline.
	if err := p.file.SetReadDeadline(time.Time{}); err != nil {
		_ = p.file.Close()
		return nil, fmt.Errorf("poll: the runtime does not watch epoll: %w", err)
	}
	raw, err := p.file.SyscallConn()
	if err != nil {
		_ = p.file.Close()
		return nil, err
	}
	go p.run(raw)
	go p.drainClosed()
	return p, nil
}

// Close ends the poller. Sockets that are still parked are not woken any more,
// and nothing may be parked afterwards.
func (p *Poller) Close() {
	_ = p.file.Close() // a descriptor that holds no data; run ends with it
	<-p.done
	p.mu.Lock()
	p.closing = nil
	p.mu.Unlock()
	<-p.ended
}

// batch is how many events are taken at once.
const batch = 32

// run wakes sleepers until the poller is closed.
func (p *Poller) run(raw syscall.RawConn) {
	defer close(p.done)
	defer close(p.grown)
	events := make([]unix.EpollEvent, batch)
	sleepers := make([]Sleeper, 0, batch)
	n := 0
	take := func(fd uintptr) bool {
		var err error
		n, err = unix.EpollWait(int(fd), events, 0)
		if err != nil {
			n = 0
		}
		return n > 0 || err == unix.EINTR
	}
	for raw.Read(take) == nil {
		sleepers = p.find(events[:n], sleepers[:0])
		for _, s := range sleepers {
			s.Wake()
		}
		clear(sleepers)
		runtime.Gosched() // thousands woken at once would all run before any other goroutine
	}
}

// find appends the sleepers that the events are for, except those whose peer has
// ended: they go to closing. A descriptor may have been closed and given to another
// connection since the kernel noted the event: then the number is not that of the
// socket.
func (p *Poller) find(events []unix.EpollEvent, dst []Sleeper) []Sleeper {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ev := range events {
		s := p.sockets[ev.Fd]
		switch {
		case s == nil || s.number != uint32(ev.Pad) || !s.armed.Swap(false):
		case ev.Events&(unix.EPOLLHUP|unix.EPOLLERR|unix.EPOLLRDHUP) == 0:
			dst = append(dst, s.sleeper)
		default:
			p.closing = append(p.closing, s.sleeper)
			select {
			case p.grown <- struct{}{}:
			default:
			}
		}
	}
	return dst
}

// When a network or a proxy fails, thousands of peers end at once. Cleaning up
// behind them is throttled, so that live connections do not wait for it: so many
// are woken at a time, and the next ones a little later.
const (
	closingBatch = 16
	closingPause = time.Millisecond
)

// drainClosed wakes closing connections until the poller is closed.
func (p *Poller) drainClosed() {
	defer close(p.ended)
	var some []Sleeper
	for range p.grown {
		for portion, more := 0, true; more; portion++ {
			p.mu.Lock()
			n := min(len(p.closing), closingBatch)
			some = append(some[:0], p.closing[:n]...)
			if p.closing = p.closing[n:]; len(p.closing) == 0 {
				p.closing, more = nil, false
			}
			p.mu.Unlock()
			for _, s := range some {
				s.Wake()
			}
			if portion > 0 {
				p.deferred.Add(uint64(len(some)))
			}
			clear(some)
			if more {
				time.Sleep(closingPause)
			}
		}
	}
}

// Closing returns how many connections whose peer has ended wait to be woken now,
// and how many had to wait so far.
func (p *Poller) Closing() (waiting int, deferred uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.closing), p.deferred.Load()
}
