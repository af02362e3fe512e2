package hub

import (
	"net"
	"os"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/netwrite"
)

const (
	// keepBytes is the largest buffer an idle link keeps.
	keepBytes = 4 << 10

	// bufferedLinger is how long a closing BufferedLink tries to write what it has.
	bufferedLinger = time.Second
)

// BufferedLink is a Link over a stream whose Write blocks: TLS, a pipe, the body
// of an HTTP response. TryWrite copies into a bounded buffer; Run, in a goroutine
// of the transport, writes it out.
type BufferedLink struct {
	// Set once.
	out     *netwrite.Buffer
	goodbye func(chat.Goodbye) []byte
}

// NewBufferedLink returns a link that buffers up to limit bytes, or
// netwrite.DefaultLimit if that is 0. goodbye returns the bytes of the goodbye; it
// may be nil. The caller must call Run.
func NewBufferedLink(s netwrite.Stream, limit int, goodbye func(g chat.Goodbye) []byte) *BufferedLink {
	out := netwrite.NewBuffer(s, netwrite.BufferOptions{Limit: limit, Keep: keepBytes})
	return &BufferedLink{out: out, goodbye: goodbye}
}

// Run writes until the link is closed or writing fails, then closes the stream
// and returns; the stream is not touched afterwards. It is called once.
func (l *BufferedLink) Run() error { return l.out.Run() }

// TryWrite copies what fits in now (Link).
func (l *BufferedLink) TryWrite(bufs net.Buffers) (n int, err error) { return l.out.Try(bufs) }

// WaitWritable waits until something fits in (Link).
func (l *BufferedLink) WaitWritable(timeout time.Duration) error {
	late := time.NewTimer(timeout)
	defer late.Stop()
	writable, err := l.out.Wait(late.C)
	if err == nil && !writable {
		return os.ErrDeadlineExceeded
	}
	return err
}

// Close lets Run write what is buffered and a goodbye, within a second (Link).
func (l *BufferedLink) Close(g chat.Goodbye) {
	var last []byte
	if l.goodbye != nil {
		last = l.goodbye(g)
	}
	l.out.Close(last, bufferedLinger)
}
