package poll

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Poller watches parked sockets. It is safe for concurrent use.
type Poller struct {
	// Set by New.
	file *os.File // the epoll instance, as the runtime sees it
	epfd int
	done chan struct{} // closed when run has returned

	mu      sync.Mutex
	sockets []*Socket // by descriptor
	last    uint32    // number of the Socket that was parked first most recently
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
	p := &Poller{file: os.NewFile(uintptr(epfd), "epoll"), epfd: epfd, done: make(chan struct{})}
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
	return p, nil
}

// Close ends the poller. Sockets that are still parked are not woken any more,
// and nothing may be parked afterwards.
func (p *Poller) Close() {
	_ = p.file.Close() // a descriptor that holds no data; run ends with it
	<-p.done
}

// batch is how many events are taken at once.
const batch = 32

// run wakes sleepers until the poller is closed.
func (p *Poller) run(raw syscall.RawConn) {
	defer close(p.done)
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

// find appends the sleepers that the events are for. A descriptor may have been
// closed and given to another connection since the kernel noted the event: then
// the number is not that of the socket.
func (p *Poller) find(events []unix.EpollEvent, dst []Sleeper) []Sleeper {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ev := range events {
		if s := p.sockets[ev.Fd]; s != nil && s.number == uint32(ev.Pad) && s.armed.Swap(false) {
			dst = append(dst, s.sleeper)
		}
	}
	return dst
}
