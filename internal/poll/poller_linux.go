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
	gone  chan struct{} // holds one token: leavers has grown; closed by run
	ended chan struct{} // closed when seeOff has returned

	deferred atomic.Uint64 // leavers that were not woken at once

	mu      sync.Mutex
	sockets []*Socket // by descriptor
	last    uint32    // number of the Socket that was parked first most recently
	leavers []Sleeper // whose peers have ended, to be woken in this order; each socket once
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
	p := &Poller{file: os.NewFile(uintptr(epfd), "epoll"), epfd: epfd, done: make(chan struct{}), gone: make(chan struct{}, 1), ended: make(chan struct{})}
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
	go p.seeOff()
	return p, nil
}

// Close ends the poller. Sockets that are still parked are not woken any more,
// and nothing may be parked afterwards.
func (p *Poller) Close() {
	_ = p.file.Close() // a descriptor that holds no data; run ends with it
	<-p.done
	p.mu.Lock()
	p.leavers = nil
	p.mu.Unlock()
	<-p.ended
}

// batch is how many events are taken at once.
const batch = 32

// run wakes sleepers until the poller is closed.
func (p *Poller) run(raw syscall.RawConn) {
	defer close(p.done)
	defer close(p.gone)
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
		runtime.Gosched() // thousands woken at once would all be in front of everybody else
	}
}

// find appends the sleepers that the events are for, but for leavers. A
// descriptor may have been closed and given to another connection since the
// kernel noted the event: then the number is not that of the socket.
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
			p.leavers = append(p.leavers, s.sleeper)
			select {
			case p.gone <- struct{}{}:
			default:
			}
		}
	}
	return dst
}

// When a network or a proxy fails, thousands of peers end at once. That is no
// reason for those who are still there to wait: so many leavers are woken at a
// time, and the next ones a little later.
const (
	leaveATime = 16
	leavePause = time.Millisecond
)

// seeOff wakes leavers until the poller is closed.
func (p *Poller) seeOff() {
	defer close(p.ended)
	var some []Sleeper
	for range p.gone {
		for portion, more := 0, true; more; portion++ {
			p.mu.Lock()
			n := min(len(p.leavers), leaveATime)
			some = append(some[:0], p.leavers[:n]...)
			if p.leavers = p.leavers[n:]; len(p.leavers) == 0 {
				p.leavers, more = nil, false
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
				time.Sleep(leavePause)
			}
		}
	}
}

// Leavers are how many wait to be woken now, and how many did not wake at once.
func (p *Poller) Leavers() (waiting int, deferred uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.leavers), p.deferred.Load()
}
