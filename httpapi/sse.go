package httpapi

import (
	"bytes"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

// sse frames events as text/event-stream. A durable event carries its rev as
// the id, which the client sends back as Last-Event-ID.
type sse struct{}

func (sse) AppendEvent(dst []byte, ev *chat.Event) []byte {
	name := ev.Kind.String()
	if name == "" {
		return dst
	}
	if ev.Kind.Durable() {
		dst = appendEventID(dst, ev.Rev)
	}
	dst = append(append(append(dst, "event: "...), name...), '\n')
	return append(appendData(dst, func(dst []byte) []byte { return wire.AppendEvent(dst, ev) }), '\n')
}

// gapEnd ends the frame of a gap and occurs nowhere else, as data is one line.
const gapEnd = "\nevent: gap\n\n"

func (sse) AppendGap(dst []byte, room chat.RoomID, rev chat.Rev, reason chat.GapReason) []byte {
	dst = appendData(dst, func(dst []byte) []byte { return wire.AppendGap(dst, room, rev, reason) })
	return append(dst[:len(dst)-1], gapEnd...)
}

func appendEventID(dst []byte, rev chat.Rev) []byte {
	return append(strconv.AppendInt(append(dst, "id: "...), int64(rev), 10), '\n')
}

// appendData appends a data line. Opaque JSON of an application may have line ends
// between its tokens; a space there means the same.
func appendData(dst []byte, value func([]byte) []byte) []byte {
	dst = append(dst, "data: "...)
	start := len(dst)
	dst = value(dst)
	for i, b := range dst[start:] {
		if b == '\n' || b == '\r' {
			dst[start+i] = ' '
		}
	}
	return append(dst, '\n')
}

// stream writes the body of a response: first, by the handler, what the client
// missed, then, by the link, what the hub has. Writes are whole frames or follow each
// other in one goroutine, so that none lands inside another.
//
// A gap ends the stream: the client reconnects with its Last-Event-ID and gets what it
// missed. Frames behind the gap are not written, since their ids would advance the
// client's Last-Event-ID beyond it.
type stream struct {
	// Set once.
	w  http.ResponseWriter
	rc *http.ResponseController

	writing sync.Mutex // held while a write waits for the peer
	tail    []byte     // guarded by writing: the last bytes, in which a gapEnd may have begun

	// Guarded by mu, which is never held during a write: the hub closes streams from
	// a goroutine that serves many connections.
	mu    sync.Mutex
	begun bool      // the status is written, or about to be
	over  bool      // no write begins any more
	until time.Time // no write goes on for longer; zero: unknown
}

func newStream(w http.ResponseWriter) *stream {
	return &stream{w: w, rc: http.NewResponseController(w)}
}

var errOver = &chat.Error{Kind: chat.Unavailable, Op: "httpapi.stream", Text: "the stream was ended", RetryAfter: 1000}

// Write writes and flushes. After an error the stream is over.
func (s *stream) Write(p []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	first, ok := s.enter()
	if !ok {
		return 0, errOver
	}
	if first {
		h := s.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-store, no-transform") // a proxy that compresses holds events back
		h.Set("X-Accel-Buffering", "no")                 // no buffering by proxies
		h.Set("Connection", "close")                     // its write deadline is not for another request
		s.w.WriteHeader(http.StatusOK)
	}
	n, gap := s.cutAtGap(p)
	err := s.writePieces(p[:n])
	if err == nil && gap {
		err = errOver
	}
	if err != nil {
		s.abandon()
	}
	return n, err
}

// writePieces writes and flushes. What is long has a deadline for each piece: the page of
// a catch-up comes to a reader that is slow, and not to one that hardly reads.
func (s *stream) writePieces(p []byte) error {
	for {
		piece := p[:min(len(p), writeBytes)]
		if _, err := s.w.Write(piece); err != nil {
			return err
		}
		if p = p[len(piece):]; len(p) == 0 {
			return s.rc.Flush()
		}
		if _, ok := s.enter(); !ok {
			return errOver
		}
	}
}

// enter begins a write: it sets the deadline and reports whether there may be
// one, and whether it is the first.
func (s *stream) enter() (first, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false, false
	}
	first, s.begun = !s.begun, true
	t := time.Now().Add(writeTime)
	if !s.until.IsZero() && s.until.Before(t) {
		t = s.until
	}
	_ = s.rc.SetWriteDeadline(t) // fails only on a connection that is gone; so will the write
	return first, true
}

// cutAtGap returns how much of p to write, and whether a gap ends there.
// writing is held.
func (s *stream) cutAtGap(p []byte) (n int, gap bool) {
	joined := append(s.tail, p...)
	if i := bytes.Index(joined, []byte(gapEnd)); i >= 0 {
		return i + len(gapEnd) - len(s.tail), true
	}
	s.tail = append([]byte(nil), joined[max(0, len(joined)-len(gapEnd)+1):]...)
	return len(p), false
}

// goodbye is the last frame of a stream that has begun; the answer to one that has
// not is an error.
func (s *stream) goodbye(g chat.Goodbye) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun || g.Code == 0 {
		return nil
	}
	dst := appendData([]byte("event: goodbye\n"), func(dst []byte) []byte { return wire.AppendGoodbye(dst, g) })
	return append(dst, '\n')
}

// SetWriteDeadline bounds all writes from now on, also one that is waiting.
func (s *stream) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil // the connection may serve another request by now
	}
	s.until = t
	return s.rc.SetWriteDeadline(t)
}

// Close ends the stream. The connection below it belongs to the HTTP server.
func (s *stream) Close() error {
	s.abandon()
	return nil
}

// abandon ends the stream and reports whether nothing was written, so that the
// request can still be answered with an error.
func (s *stream) abandon() (unused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	return !s.begun
}
