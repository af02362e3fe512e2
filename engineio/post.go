package engineio

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"
)

// errDirection says that a heartbeat came from the wrong side.
var errDirection = errors.New("engineio: heartbeat from the wrong side")

// servePost takes a request body with packets. It is answered when the handler
// has had them all.
func (s *Socket) servePost(w http.ResponseWriter, r *http.Request, q query) *refusal {
	if refused := s.beginPost(); refused != nil {
		return refused
	}
	refused := s.receiveBody(w, r, q)
	s.mu.Lock()
	s.posting = false // before the client can know
	s.mu.Unlock()
	if refused != nil {
		return refused
	}
	h := w.Header()
	h.Set("Content-Type", "text/html") // browsers that need JSONP load it into a frame
	h.Set("Content-Length", "2")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, "ok") // the client may be gone
	return nil
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

// receiveBody reads the body and hands its packets to the handler. If the
// session has gone on as a WebSocket meanwhile, none of them.
func (s *Socket) receiveBody(w http.ResponseWriter, r *http.Request, q query) *refusal {
	binary := isBinary(r)
	if binary && s.version == 4 {
		s.end(transportError)
		return badRequest
	}
	body, refused := s.readBody(w, r)
	if refused != nil {
		return refused
	}
	if q.jsonp != "" {
		var err error
		if body, err = decodeJSONP(body); err != nil {
			s.end(parseError)
			return badRequest
		}
	}
	if !s.enter() {
		return unknownSession
	}
	defer s.leave()
	if s.Transport() != polling {
		return badRequest
	}
	receive := s.receive
	if s.asText && !binary {
		receive = func(p packet) error {
			if !p.binary {
				p.data = undouble(p.data)
			}
			return s.receive(p)
		}
	}
	if err := decodePayload(s.version, binary, body, receive); err != nil && err != ErrClosed {
		s.end(endingOf(err))
		return badRequest
	}
	return nil
}

func isBinary(r *http.Request) bool {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && t == "application/octet-stream"
}

// readBody reads at most MaxPayload bytes, for as long as the client may be
// silent.
func (s *Socket) readBody(w http.ResponseWriter, r *http.Request) ([]byte, *refusal) {
	limit := int64(s.srv.opts.MaxPayload)
	if r.ContentLength > limit {
		return nil, tooLarge
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(s.srv.opts.PingInterval + s.srv.opts.PingTimeout)) // not every ResponseWriter has deadlines
	var body bytes.Buffer                                                                    // grows with what arrives, not with what was announced
	n, err := body.ReadFrom(io.LimitReader(r.Body, limit+1))
	switch {
	case err != nil:
		_ = r.Body.Close() // it has had its time: see Server.drain
		s.end(transportError)
		return nil, badRequest
	case n > limit:
		return nil, tooLarge
	}
	_ = rc.SetReadDeadline(time.Time{}) // else it stays: net/http reads what is left of the body
	return body.Bytes(), nil
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
