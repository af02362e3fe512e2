package engineio

import (
	"net"
	"sync"
	"time"

	"github.com/roomtide/roomtide/internal/poll"
	"github.com/roomtide/roomtide/websocket"
)

// link is a WebSocket.
type link struct {
	// set once
	conn *websocket.Conn // for reading
	out  outlet
	sock *Socket

	reader poll.Reader // opened when it becomes the transport of sock, under sock.mu
}

// abort closes the connection; its reader learns of it.
func (l *link) abort() {
	_ = l.conn.NetConn().Close() // there is nothing to be done about a connection that fails to close
	l.reader.End()
}

// outlet is the writing half of a connection. try and wait are never called at
// the same time.
type outlet interface {
	// try writes as much of bufs as the peer accepts now and never waits.
	try(bufs [][]byte) (n int, err error)
	// wait waits until try can make progress. The write deadline of the
	// connection, or closing it, ends the waiting with an error.
	wait() error
	// end ends the writing half behind what was taken. It does not wait.
	end()
}

// newLink takes over a WebSocket, that may become the transport of the socket.
func (s *Socket) newLink(c *websocket.Conn) *link {
	l := &link{conn: c, sock: s}
	c.OnPing = l.pong
	if tcp, ok := l.conn.NetConn().(*net.TCPConn); ok {
		l.out = newTCPOutlet(tcp)
	}
	if l.out == nil {
		l.out = &buffer{nc: l.conn.NetConn(), spawn: s.srv.work.Go, room: make(chan struct{}, 1)}
	}
	return l
}

// maxBuffer is how much a buffer takes ahead of its peer, keepBuffer how much
// of that an idle one keeps.
const (
	maxBuffer  = 16 << 10
	keepBuffer = 1 << 10
)

// buffer is an outlet for connections whose Write waits, such as TLS. It has a
// goroutine only while there is something to write.
type buffer struct {
	// set once
	nc    net.Conn
	spawn func(func())
	room  chan struct{} // holds one token: there is room again, or err is set

	mu      sync.Mutex
	buf     []byte // waits for the writer
	flying  int    // bytes being written
	writing bool   // there is a writer
	ending  bool
	err     error
}

func (b *buffer) try(bufs [][]byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return 0, b.err
	}
	for _, p := range bufs {
		k := min(len(p), b.free())
		b.buf = append(b.buf, p[:k]...)
		n += k
	}
	if n > 0 {
		b.work()
	}
	return n, nil
}

// free is how much fits in now. mu is held.
func (b *buffer) free() int { return max(maxBuffer-b.flying-len(b.buf), 0) }

// work makes sure that there is a writer. mu is held.
func (b *buffer) work() {
	if !b.writing {
		b.writing = true
		b.spawn(b.write)
	}
}

func (b *buffer) write() {
	var spare []byte
	for {
		p := b.next(spare)
		if p == nil {
			return
		}
		if _, err := b.nc.Write(p); err != nil {
			b.mu.Lock()
			b.err, b.buf, b.flying = err, nil, 0
			b.mu.Unlock()
			signal(b.room)
			_ = b.nc.Close()
			return
		}
		spare = nil
		if cap(p) <= keepBuffer {
			spare = p[:0]
		}
	}
}

// next is what the writer is to write. Without anything it is done.
func (b *buffer) next(spare []byte) []byte {
	b.mu.Lock()
	p := b.buf
	b.buf, b.flying = spare, len(p)
	if len(p) == 0 {
		p, b.writing = nil, false
	}
	ending := b.ending
	b.mu.Unlock()
	signal(b.room)
	if p == nil && ending {
		closeWrite(b.nc)
	}
	return p
}

func (b *buffer) wait() error {
	for {
		b.mu.Lock()
		err, free := b.err, b.free()
		b.mu.Unlock()
		if err != nil || free > 0 {
			return err
		}
		<-b.room // the writer ends with the connection, and says so
	}
}

func (b *buffer) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ending = true
	_ = b.nc.SetWriteDeadline(time.Now().Add(linger)) // fails only if it is closed
	if b.err == nil {
		b.work()
	}
}

// closeWrite ends the writing half, if the connection has halves. Without, the
// peer ends it after the close frame.
func closeWrite(nc net.Conn) {
	if c, ok := nc.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
}
