package netwrite

import (
	"io"
	"net"
	"sync"
	"time"
)

// Stream is what a Buffer writes to: a TLS connection, a pipe, the body of an
// HTTP response. If it has a method Flush() error, that is called after each
// Write.
type Stream interface {
	io.WriteCloser
	SetWriteDeadline(t time.Time) error
}

// BufferOptions are the bounds of a Buffer, and where it is written out.
type BufferOptions struct {
	Limit int // bytes taken and not yet written; 0 is DefaultLimit
	Keep  int // the most memory an idle buffer keeps

	// Spawn starts a goroutine; the buffer then has one only while there is
	// something to write. Nil: the owner calls Run in a goroutine of its own.
	Spawn func(func())

	// End runs when everything up to Close has been written. Nil closes the stream.
	End func() error
}

// DefaultLimit is how many bytes a Buffer takes ahead of its stream unless its
// options say otherwise.
const DefaultLimit = 16 << 10

// Buffer is a bounded buffer in front of a Stream whose Write blocks. Its methods
// may be called from any goroutine, Wait from one at a time.
type Buffer struct {
	// Set once.
	stream Stream
	opts   BufferOptions
	work   chan struct{} // holds one token: there is work for Run; nil with Spawn
	space  chan struct{} // holds one token: there is space again, or the buffer ended

	// Guarded by mu.
	mu      sync.Mutex
	buf     []byte // not yet with the writer
	flying  int    // bytes that the writer is writing
	writing bool   // with Spawn: there is a writer
	cut     bool   // the last Try was short: a frame may be cut
	closed  bool
	err     error // of the writer, which has ended
}

// NewBuffer returns an empty Buffer. Close ends it.
func NewBuffer(s Stream, o BufferOptions) *Buffer {
	if o.Limit <= 0 {
		o.Limit = DefaultLimit
	}
	if o.End == nil {
		o.End = s.Close
	}
	b := &Buffer{stream: s, opts: o, space: make(chan struct{}, 1)}
	if o.Spawn == nil {
		b.work = make(chan struct{}, 1)
	}
	return b
}

// Try takes as much of bufs as there is space for and never waits. n less than
// Size(bufs) with a nil err means that the buffer is full. It neither keeps nor
// changes bufs or the bytes in them. It fails once the buffer is closed or the
// stream has failed.
func (b *Buffer) Try(bufs [][]byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.ended(); err != nil {
		return 0, err
	}
	total := 0
	for _, p := range bufs {
		k := min(len(p), b.free())
		b.buf = append(b.buf, p[:k]...)
		n += k
		total += len(p)
	}
	b.cut = n < total
	if n > 0 {
		b.wake()
	}
	return n, nil
}

// ended returns why nothing more is taken. mu is held.
func (b *Buffer) ended() error {
	if b.err == nil && b.closed {
		return net.ErrClosed
	}
	return b.err
}

// free is how many bytes fit in now. mu is held.
func (b *Buffer) free() int { return max(b.opts.Limit-b.flying-len(b.buf), 0) }

// Wait waits until Try can make progress. It returns false when late comes first;
// a nil late never comes. It fails as Try does.
func (b *Buffer) Wait(late <-chan time.Time) (writable bool, err error) {
	for {
		b.mu.Lock()
		err, free := b.ended(), b.free()
		b.mu.Unlock()
		if err != nil || free > 0 {
			return err == nil, err
		}
		select {
		case <-b.space:
		case <-late:
			return false, nil
		}
	}
}

// Close ends the buffer behind what it holds and, unless the last Try was short,
// the bytes of last. The stream has until linger to take them. It does not wait;
// only the first call counts.
func (b *Buffer) Close(last []byte, linger time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended() != nil {
		return
	}
	b.closed = true
	if !b.cut {
		b.buf = append(b.buf, last...)
	}
	// Under mu, so that the stream is not touched after its writer has ended. A
	// stream without deadlines is closed by its owner.
	_ = b.stream.SetWriteDeadline(time.Now().Add(linger))
	b.wake()
	signal(b.space)
}

// wake makes sure that the writer looks at the buffer. mu is held.
func (b *Buffer) wake() {
	switch {
	case b.opts.Spawn == nil:
		signal(b.work)
	case !b.writing:
		b.writing = true
		b.opts.Spawn(func() {
			if _, ended, err := b.drain(nil); ended && err == nil {
				_ = b.opts.End() // the owner learns of it from reading
			}
		})
	}
}

// Run writes until the buffer is closed or the stream fails, which is then closed;
// neither is touched afterwards. It is called once, and only without Spawn.
func (b *Buffer) Run() error {
	var spare []byte
	for {
		left, ended, err := b.drain(spare)
		switch {
		case err != nil:
			return err
		case ended:
			return b.opts.End()
		}
		spare = left
		<-b.work
	}
}

// drain writes until the buffer is empty. spare is memory for it to use; left is
// what it does not use any more. ended says that nothing will follow.
func (b *Buffer) drain(spare []byte) (left []byte, ended bool, err error) {
	for {
		p, closed := b.take(spare)
		if len(p) == 0 {
			return p, closed, nil
		}
		if err := b.write(p); err != nil {
			b.fail(err)
			return nil, true, err
		}
		spare = nil
		if cap(p) <= b.opts.Keep {
			spare = p[:0]
		}
	}
}

// take exchanges the buffer for an empty one. When it was empty, the writer has
// ended.
func (b *Buffer) take(spare []byte) (p []byte, closed bool) {
	b.mu.Lock()
	p, b.buf = b.buf, spare
	b.flying = len(p)
	if len(p) == 0 {
		b.writing = false
	}
	closed = b.closed
	b.mu.Unlock()
	signal(b.space)
	return p, closed
}

func (b *Buffer) write(p []byte) error {
	if _, err := b.stream.Write(p); err != nil {
		return err
	}
	if f, ok := b.stream.(interface{ Flush() error }); ok {
		return f.Flush()
	}
	return nil
}

// fail makes every later call fail and closes the stream.
func (b *Buffer) fail(err error) {
	b.mu.Lock()
	b.err, b.buf, b.flying = err, nil, 0
	b.mu.Unlock()
	signal(b.space)
	_ = b.stream.Close() // the first error says more
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
