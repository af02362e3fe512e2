package engineio

import (
	"bytes"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/roomtide/roomtide/internal/wheel"
	"github.com/roomtide/roomtide/websocket"
)

// Socket is one client's session. Its methods may be called from any goroutine
// and from inside the handler.
type Socket struct {
	// Set once.
	srv     *Server
	id      string
	version int
	asText  bool // a client of protocol 3 that takes no binary payloads

	// Safe for any goroutine.
	ended atomic.Bool               // set once, under mu: the handler gets no more messages
	shake atomic.Pointer[handshake] // nil once it is forgotten

	// Guarded by turn, which is held while the handler is called.
	closeCalled bool // the handler's Close was
	turn        sync.Mutex

	marks atomic.Uint32 // safe for any goroutine: what is known of the client; it fits here

	// Data is the program's own. It is read and written inside calls of the
	// handler only.
	Data any

	entry wheel.Entry[*Socket] // the wheel's

	// Guarded by mu, under which nothing is called that blocks.
	mu        sync.Mutex
	heartbeat heartbeat
	lasts     bool          // ended, and kept for one more poll
	stalled   bool          // the WebSocket accepts no more now; unstall waits for it
	posting   bool          // a request body is being received or handled
	handling  bool          // one is being handled, and is answered behind that
	probed    bool          // probe has answered, or is about to
	handled   chan struct{} // closed with the end of handling, or of the socket; nil: the probe does not wait for it
	due       time.Duration // when something is to be done about heartbeat, or lasts is over
	ending    *ending       // set before ended; not changed any more
	queue     queue
	writable  chan struct{} // holds one token: something changed for WaitWritable, which makes it

	ws    *link     // nil while polling
	poll  *longPoll // the request that waits for an answer
	probe *link     // a WebSocket that may take over
}

// ending is how a socket ends.
type ending struct {
	reason string
	code   int           // of the WebSocket's close frame
	last   kind          // packet for the poll that waits
	linger time.Duration // without one: how long to keep the session for the next poll
}

// Close codes of the endings. Clients look at the reason on their side only.
const (
	codeNormal    = websocket.CodeNormal
	codeGoingAway = 1001
	codeProtocol  = websocket.CodeProtocol
	codeInternal  = 1011
)

const (
	// closeLinger is how long what is queued waits for a poll after Close.
	closeLinger = 30 * time.Second
	// noopLinger is how long a poll may come after the client's own close packet:
	// they travel on two connections, so it may be overtaken.
	noopLinger = time.Second
)

var (
	pingTimeout    = ending{reason: ReasonPingTimeout, code: codeGoingAway, last: kindClose}
	parseError     = ending{reason: ReasonParseError, code: codeProtocol, last: kindClose}
	transportError = ending{reason: ReasonTransportError, code: codeProtocol, last: kindClose}
	transportClose = ending{reason: ReasonTransportClose, code: codeNormal, last: kindNoop, linger: noopLinger}
	panicked       = ending{reason: ReasonForcedClose, code: codeInternal, last: kindClose}
)

// ID is the session id. It is all that a request needs to speak for the client:
// keep it out of logs.
func (s *Socket) ID() string { return s.id }

// Protocol is 3 or 4.
func (s *Socket) Protocol() int { return s.version }

// Request is the handshake: its headers and URL, without body and context. It is
// nil after ForgetRequest.
func (s *Socket) Request() *http.Request {
	if h := s.shake.Load(); h != nil {
		return &h.request
	}
	return nil
}

// Began is when the handshake came, the zero time after ForgetRequest.
func (s *Socket) Began() time.Time {
	if h := s.shake.Load(); h != nil {
		return h.at
	}
	return time.Time{}
}

// Marks of a socket.
const (
	markTrusted = 1 << iota // Trust was called
	markTwice               // it seems to be a client 1: see latin.go
	markOnce                // it is a client 2
)

func (s *Socket) marked(mark uint32) bool { return s.marks.Load()&mark != 0 }

// Trust lets the client send bodies of MaxBody bytes. Without Options.Distrust all
// clients may.
func (s *Socket) Trust() { s.marks.Or(markTrusted) }

// ForgetRequest lets go of the handshake's request, which is a kilobyte or two,
// for programs that have taken from it what they need.
func (s *Socket) ForgetRequest() { s.shake.Store(nil) }

// Transport is "polling" or "websocket".
func (s *Socket) Transport() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ws != nil {
		return webSocket
	}
	return polling
}

// Deflates reports whether the client and the server agreed on compression, so
// that TryWrite takes frames that websocket.DeflateFrame has compressed. It does
// not change.
func (s *Socket) Deflates() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.cut.deflates
}

// Send queues messages: all of them, in order and with no other message in
// between, or none. It does not wait and does not keep the data. It fails with
// ErrFull, ErrText or ErrClosed.
func (s *Socket) Send(ms ...Message) error {
	size := 0
	for _, m := range ms {
		if !m.Binary && !s.isText(m.Data) {
			return ErrText
		}
		size += len(m.Data) + frameOverhead
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended.Load() {
		return ErrClosed
	}
	if s.queue.size()+size > s.srv.opts.MaxQueued {
		s.srv.counts.full.Add(1)
		return ErrFull
	}
	dst := s.queue.appendTo()
	for _, m := range ms {
		start := len(*dst)
		if m.Binary {
			*dst = appendBinary(*dst, s.version, m.Data)
		} else {
			*dst = AppendFrame(*dst, m.Data)
		}
		if s.queue.cut.deflates && !m.Plain {
			*dst = websocket.DeflateFrame(*dst, start)
		}
	}
	s.flush()
	return nil
}

// frameOverhead is the most a frame adds to a message.
const frameOverhead = 11

func (s *Socket) isText(b []byte) bool {
	return utf8.Valid(b) && (s.version == 3 || bytes.IndexByte(b, separator) < 0)
}

// Close ends the socket after what is queued for it, which the client has a few
// seconds to accept. The handler's Close gets the reason, or ReasonForcedClose if
// it is empty.
func (s *Socket) Close(reason string) {
	if reason == "" {
		reason = ReasonForcedClose
	}
	s.end(ending{reason: reason, code: codeNormal, last: kindClose, linger: closeLinger})
}

// end ends the socket; only the first call counts. It does not wait: the handler's
// Close is called by another goroutine, or when the handler's present call returns.
func (s *Socket) end(e ending) {
	s.mu.Lock()
	if s.ended.Load() {
		s.mu.Unlock()
		return
	}
	s.ending = &e
	s.ended.Store(true) // behind ending, which is read without mu afterwards
	switch {
	case s.ws != nil:
		s.hangUp()
	// Clients of protocol 4 hand packets on later than they take note of a close
	// packet in the same answer: what is queued goes alone, the close with the next.
	case s.poll != nil && (e.linger == 0 || !s.queue.whole()):
		s.poll.finish(e.last)
	case e.linger > 0:
		s.lasts = true
		s.due = s.srv.now() + e.linger
	}
	if s.probe != nil {
		_ = s.probe.conn.NetConn().Close() // its reader learns of it
	}
	if s.handled != nil {
		close(s.handled)
		s.handled = nil
	}
	stays := s.lasts
	s.changed()
	s.mu.Unlock()
	if !stays {
		s.srv.leave(s)
	}
	if e.reason == ReasonPingTimeout {
		s.srv.counts.expired.Add(1)
	}
	go s.callClose()
}

// serve is a request with the session id of this socket.
func (s *Socket) serve(w http.ResponseWriter, r *http.Request, q query) *refusal {
	s.mu.Lock()
	expired := s.checkDue(s.srv.now())
	gone := s.ended.Load() && !s.lasts
	s.mu.Unlock()
	if expired {
		s.expire()
		return unknownSession
	}
	switch upgrade := websocket.IsUpgrade(r); {
	case gone:
		return unknownSession
	case q.version != s.version, upgrade != (q.transport == webSocket):
		return badRequest
	case upgrade:
		return s.serveProbe(w, r)
	case r.Method == http.MethodGet:
		return s.servePoll(w, r, q)
	case r.Method == http.MethodPost:
		return s.servePost(w, r, q)
	}
	return badRequest
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
