package hub

import (
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// Stream is what a BufferedLink writes to: a TLS connection, a pipe, the body of
// an HTTP response. If it has a method Flush() error, that is called after each
// Write.
type Stream interface {
	io.WriteCloser
	SetWriteDeadline(t time.Time) error
}

// DefaultBufferBytes is how much a BufferedLink takes from the hub ahead of its
// peer unless said otherwise.
const DefaultBufferBytes = 16 << 10

// keepBytes is the largest buffer an idle link keeps.
const keepBytes = 4 << 10

// lastWords is how long a closing BufferedLink tries to write what it has.
const lastWords = time.Second

// BufferedLink is a Link over a Stream whose Write waits. TryWrite copies into a
// bounded buffer; Run, in a goroutine of the transport, writes it out.
type BufferedLink struct {
	// Set once.
	stream  Stream
	limit   int
	goodbye func(chat.Goodbye) []byte
	work    chan struct{} // holds one token: buf or closed changed
	room    chan struct{} // holds one token: there is room in buf again

	mu     sync.Mutex
	buf    []byte // waiting for Run
	flying int    // bytes that Run is writing
	cut    bool   // the last TryWrite was short: a frame may be cut
	closed bool
}

// NewBufferedLink returns a link that buffers up to limit bytes, or
// DefaultBufferBytes if that is 0. goodbye returns the bytes that say goodbye;
// it may be nil. The caller must call Run.
func NewBufferedLink(s Stream, limit int, goodbye func(g chat.Goodbye) []byte) *BufferedLink {
	if limit <= 0 {
		limit = DefaultBufferBytes
	}
	return &BufferedLink{
		stream: s, limit: limit, goodbye: goodbye,
		work: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
}

// Run writes until the link is closed or writing fails, then closes the stream
// and returns; the stream is not touched afterwards. It is called once.
func (l *BufferedLink) Run() error {
	var spare []byte
	for {
		buf, closed := l.take(spare)
		if len(buf) == 0 {
			if closed {
				return l.stream.Close()
			}
			spare = buf // take gave spare to l.buf, and this in exchange
			<-l.work
			continue
		}
		if err := l.write(buf); err != nil {
			l.shut()
			_ = l.stream.Close() // the first error says more
			return err
		}
		spare = nil
		if cap(buf) <= keepBytes {
			spare = buf[:0]
		}
	}
}

// take swaps the buffer for an empty one.
func (l *BufferedLink) take(spare []byte) (buf []byte, closed bool) {
	l.mu.Lock()
	buf, l.buf = l.buf, spare
	l.flying = len(buf)
	closed = l.closed
	l.mu.Unlock()
	signal(l.room)
	return buf, closed
}

func (l *BufferedLink) write(buf []byte) error {
	if _, err := l.stream.Write(buf); err != nil {
		return err
	}
	if f, ok := l.stream.(interface{ Flush() error }); ok {
		return f.Flush()
	}
	return nil
}

// shut makes every later call fail.
func (l *BufferedLink) shut() {
	l.mu.Lock()
	l.closed = true
	l.buf = nil
	l.mu.Unlock()
	signal(l.room)
}

func (l *BufferedLink) TryWrite(bufs net.Buffers) (n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, net.ErrClosed
	}
	total := 0
	for _, b := range bufs {
		take := min(len(b), l.free())
		l.buf = append(l.buf, b[:take]...)
		n += take
		total += len(b)
	}
	l.cut = n < total
	if n > 0 {
		signal(l.work)
	}
	return n, nil
}

// free is how much fits in now. mu is held.
func (l *BufferedLink) free() int { return max(l.limit-l.flying-len(l.buf), 0) }

func (l *BufferedLink) WaitWritable(timeout time.Duration) error {
	late := time.NewTimer(timeout)
	defer late.Stop()
	for {
		l.mu.Lock()
		closed, free := l.closed, l.free()
		l.mu.Unlock()
		switch {
		case closed:
			return net.ErrClosed
		case free > 0:
			return nil
		}
		select {
		case <-l.room:
		case <-late.C:
			return os.ErrDeadlineExceeded
		}
	}
}

// Close lets Run write what is buffered and a goodbye, for a second at most.
func (l *BufferedLink) Close(g chat.Goodbye) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	if !l.cut && l.goodbye != nil {
		l.buf = append(l.buf, l.goodbye(g)...)
	}
	l.mu.Unlock()
	_ = l.stream.SetWriteDeadline(time.Now().Add(lastWords)) // a stream without deadlines is closed by its reader
	signal(l.work)
	signal(l.room)
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
