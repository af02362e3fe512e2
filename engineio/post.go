package engineio

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"
)

var (
	errDirection = errors.New("engineio: heartbeat from the wrong side")
	errTooLarge  = errors.New("engineio: the packet is too large")
)

// servePost takes a request body with packets. It is answered when the handler
// has had them all, so that a client waits that sends faster than it reads.
//
// A client that has the pong of a probe reads nothing more before its body is answered,
// and waits for that to send the upgrade packet. So the pong waits for a body that is
// being handled (beginHold), and a body that comes later is answered first.
func (s *Socket) servePost(w http.ResponseWriter, r *http.Request, q query) *refusal {
	if refused := s.beginPost(); refused != nil {
		return refused
	}
	answered, refused := s.receiveBody(w, r, q)
	if answered {
		return nil
	}
	s.endPost()
	if refused == nil {
		answerPost(w)
	}
	return refused
}

func answerPost(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "text/html") // browsers that need JSONP load it into a frame
	h.Set("Content-Length", "2")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, "ok") // the client may be gone
}

func (s *Socket) beginPost() *refusal {
	s.mu.Lock()
	switch {
	case s.ended.Load():
		s.mu.Unlock()
		return unknownSession
	case s.ws != nil:
		s.mu.Unlock()
		return badRequest
	case s.posting:
		s.mu.Unlock()
		s.end(transportError)
		return badRequest
	}
	s.posting = true
	s.mu.Unlock()
	return nil
}

// endPost comes before the answer, behind which the client may send the next body.
func (s *Socket) endPost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posting, s.handling = false, false
	if s.handled != nil {
		s.probed = true
		close(s.handled)
		s.handled = nil
	}
}

// answerFirst answers a body whose client waits for that, and reports whether it did.
func (s *Socket) answerFirst(w http.ResponseWriter) bool {
	s.mu.Lock()
	first := s.probed
	s.handling = !first
	s.mu.Unlock()
	if first {
		s.endPost()
		answerPost(w)
		_ = http.NewResponseController(w).Flush() // else it goes when the handler has had everything
	}
	return first
}

// receiveBody reads the body and hands its packets to the handler. If the
// session has gone on as a WebSocket meanwhile, none of them. A body that was answered
// is not refused.
func (s *Socket) receiveBody(w http.ResponseWriter, r *http.Request, q query) (answered bool, refused *refusal) {
	binary := isBinary(r)
	if binary && s.version == 4 {
		s.end(transportError)
		return false, badRequest
	}
	body, release, refused := s.readBody(w, r)
	if refused != nil {
		return false, refused
	}
	defer release()
	if q.jsonp != "" {
		var err error
		if body, err = decodeJSONP(body); err != nil {
			s.end(parseError)
			return false, badRequest
		}
	}
	if !s.enter() {
		return false, unknownSession
	}
	defer s.leave()
	if s.Transport() != polling {
		return false, badRequest
	}
	answered = s.answerFirst(w) // in its turn: what comes over the WebSocket comes behind it
	return answered, s.receivePayload(body, binary)
}

// receivePayload hands the packets of a body to the handler. The caller has the turn.
func (s *Socket) receivePayload(body []byte, binary bool) *refusal {
	receive := func(p packet) error {
		if s.asText && !binary && !p.binary {
			p.data = s.undouble(p.data)
		}
		if len(p.data) > s.srv.opts.MaxPayload {
			return errTooLarge
		}
		return s.receive(p)
	}
	err := decodePayload(s.version, binary, body, receive)
	switch {
	case err == nil, err == ErrClosed:
	case err == errTooLarge && s.tooLarge():
	case err == errTooLarge:
		s.end(transportError)
		return tooLarge
	default:
		s.end(endingOf(err))
		return badRequest
	}
	return nil
}

func isBinary(r *http.Request) bool {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && t == "application/octet-stream"
}

// maxLarge is how many bodies above MaxPayload are received at a time.
const maxLarge = 64

// maxBody is how large a body may be.
func (s *Socket) maxBody() int {
	if s.srv.opts.Distrust && !s.marked(markTrusted) {
		return s.srv.opts.MaxPayload
	}
	return s.srv.opts.MaxBody
}

// readBody reads at most maxBody bytes, for as long as the client may be silent.
// release is called when the body is not needed any more.
func (s *Socket) readBody(w http.ResponseWriter, r *http.Request) (body []byte, release func(), refused *refusal) {
	limit, silent := s.maxBody(), s.srv.opts.PingInterval+s.srv.opts.PingTimeout
	if r.ContentLength > int64(limit) {
		return nil, nil, s.refuseBody(limit)
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(silent)) // not every ResponseWriter has deadlines
	var all bytes.Buffer                           // grows with what arrives, not with what was announced
	release = func() {}
	n, err := all.ReadFrom(io.LimitReader(r.Body, int64(s.srv.opts.MaxPayload)+1))
	if err == nil && n > int64(s.srv.opts.MaxPayload) && limit > s.srv.opts.MaxPayload {
		if !s.srv.enterLarge(r.Context(), silent) {
			return nil, nil, serverBusy
		}
		release = func() { <-s.srv.large }
		_, err = all.ReadFrom(io.LimitReader(r.Body, int64(limit)-n+1))
	}
	switch {
	case err != nil:
		_ = r.Body.Close() // it has had its time: see Server.drain
		s.end(transportError)
		refused = badRequest
	case all.Len() > limit:
		refused = s.refuseBody(limit)
	default:
		_ = rc.SetReadDeadline(time.Time{}) // else it stays: net/http reads what is left of the body
		return all.Bytes(), release, nil
	}
	release()
	return nil, nil, refused
}

// enterLarge waits until one more large body may be received. Its end is a token
// taken from large.
func (s *Server) enterLarge(ctx context.Context, most time.Duration) bool {
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case s.large <- struct{}{}:
		return true
	case <-t.C:
	case <-ctx.Done():
	case <-s.done:
	}
	return false
}

// refuseBody refuses a body that is larger than limit. A client that is trusted
// would send it again for ever, so the handler may tell it first. Clients look at
// nothing that comes behind the refusal, and what is sent on two connections comes in
// any order: so the refusal waits for the poll by which the client shows that it has
// read the message.
func (s *Socket) refuseBody(limit int) *refusal {
	if limit < s.srv.opts.MaxBody || !s.enter() {
		return tooLarge
	}
	told := s.tooLarge()
	s.leave()
	if told {
		s.awaitLast()
	}
	return tooLarge
}

// awaitLast returns when the socket has ended and the poll for its close has come,
// before which everything else was taken (beginPoll), or after tellTime.
func (s *Socket) awaitLast() {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(tellTime); time.Now().Before(end); <-look.C {
		s.mu.Lock()
		over := s.ended.Load() && !s.lasts
		s.mu.Unlock()
		if over {
			return
		}
	}
}

// tellTime is how long the end of a socket may take after TooLarge was called.
const tellTime = 2 * time.Second

// tooLarge calls the handler's TooLarge, if it has one. The caller has the turn and
// receives nothing more.
func (s *Socket) tooLarge() bool {
	h, ok := s.srv.handler.(TooLargeHandler)
	if ok {
		s.guard("TooLarge", func() { h.TooLarge(s) })
		time.AfterFunc(tellTime, func() { s.end(transportError) })
	}
	return ok
}

// receive does what a packet asks. The caller has the turn. It fails with
// ErrClosed when nothing more is to be received.
func (s *Socket) receive(p packet) error {
	if s.ended.Load() {
		return ErrClosed
	}
	if !s.received(p.kind) {
		return errDirection
	}
	switch p.kind {
	case kindMessage:
		s.guard("Message", func() { s.srv.handler.Message(s, Message{Binary: p.binary, Data: p.data}) })
	case kindPong:
		if h, ok := s.srv.handler.(PongHandler); ok {
			s.guard("Pong", func() { h.Pong(s) })
		}
	case kindClose:
		s.end(transportClose)
		return ErrClosed
	}
	return nil // open, upgrade and noop say nothing here
}

// endingOf is how the socket ends after receive, or decoding, failed.
func endingOf(err error) ending {
	if errors.Is(err, errDirection) {
		return transportError
	}
	return parseError
}
