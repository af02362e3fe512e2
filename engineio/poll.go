package engineio

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// longPoll is a GET that waits for something to send to the client. Its fields except
// the channels are guarded by the socket's mu.
type longPoll struct {
	woken   chan struct{} // holds one token: look again
	done    chan struct{} // closed when it has been answered
	last    kind          // to be answered at once, with this packet at the end
	refused bool          // the session went on as a WebSocket meanwhile
}

func (p *longPoll) wake() { signal(p.woken) }

func (p *longPoll) finish(last kind) {
	p.last = last
	p.wake()
}

// probeHold is how long a poll that comes after a WebSocket has answered its
// probe waits for the upgrade packet. The two travel on two connections: a
// client that has sent the packet gets an error for its late poll, one that has
// not gets an empty answer and can stop polling.
const probeHold = 100 * time.Millisecond

// writeTimeout is how long a client has to take the answer to a poll.
const writeTimeout = 30 * time.Second

// openPolling answers the handshake of a polling session.
func (s *Socket) openPolling(w http.ResponseWriter, q query) {
	frames := appendPacket(nil, kindOpen, s.srv.greet(s, polling))
	s.answer(w, q, frames)
	s.opened()
}

// opened calls the handler's Open for the new socket and ends the turn that
// newSocket took.
func (s *Socket) opened() {
	s.srv.counts.opened.Add(1)
	s.guard("Open", func() { s.srv.handler.Open(s) })
	s.leave()
}

func (s *Socket) servePoll(w http.ResponseWriter, r *http.Request, q query) *refusal {
	p, held, refused := s.beginPoll(r.Context(), false)
	if refused != nil {
		return refused
	}
	defer close(p.done)
	// A server's write timeout is not meant for a request that waits.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // a ResponseWriter without deadlines has none to lift
	if held {
		t := time.AfterFunc(probeHold, func() { s.finishPoll(p, kindNoop) })
		defer t.Stop()
	}
	frames, refused := s.await(r.Context(), p)
	if refused == nil {
		s.answer(w, q, frames)
	}
	return refused
}

// beginPoll makes the request the one that waits. held says that an upgrade is
// about to happen. A second one at a time breaks the rules, unless the client has
// sent the upgrade packet before both: so while that may be, it waits first for
// the other.
func (s *Socket) beginPoll(ctx context.Context, waited bool) (p *longPoll, held bool, refused *refusal) {
	s.mu.Lock()
	p = &longPoll{woken: make(chan struct{}, 1), done: make(chan struct{})}
	switch {
	case s.lasts && s.queue.whole():
		// What is queued goes alone, and the close with the next poll: see end.
	case s.lasts:
		s.lasts = false
		p.last = s.ending.last
		s.mu.Unlock()
		s.srv.leave(s)
		return p, false, nil
	case s.ended.Load():
		refused = unknownSession
	case s.ws != nil:
		refused = badRequest
	case s.poll != nil && s.probed && !waited:
		first := s.poll
		s.mu.Unlock()
		first.over(ctx, 2*probeHold)
		return s.beginPoll(ctx, true)
	case s.poll != nil:
		s.mu.Unlock()
		s.end(transportError)
		return nil, false, badRequest
	default:
		s.poll = p
		held = s.probed
	}
	s.mu.Unlock()
	return p, held, refused
}

// over returns when p has been answered, which a held poll soon is, or after most.
func (p *longPoll) over(ctx context.Context, most time.Duration) {
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
	case <-ctx.Done():
	}
}

func (s *Socket) finishPoll(p *longPoll, last kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poll == p && p.last == 0 {
		p.finish(last)
	}
}

// await waits for the answer to p.
func (s *Socket) await(ctx context.Context, p *longPoll) (frames []byte, refused *refusal) {
	for {
		frames, refused, ready := s.collect(p)
		if ready {
			return frames, refused
		}
		select {
		case <-p.woken:
		case <-ctx.Done():
			s.end(transportError)
			return nil, badRequest // the client does not see it
		}
	}
}

// collect takes the answer to p, if there is one.
func (s *Socket) collect(p *longPoll) (frames []byte, refused *refusal, ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.refused {
		return nil, badRequest, true
	}
	if p.last == 0 && !s.queue.whole() {
		return nil, nil, false
	}
	frames = s.queue.take()
	if p.last == kindClose || p.last != 0 && len(frames) == 0 {
		frames = appendPacket(frames, p.last, "")
	}
	if s.poll == p {
		s.poll = nil
	}
	s.changed()
	return frames, nil, true
}

// answer writes frames as the client wants them.
func (s *Socket) answer(w http.ResponseWriter, q query, frames []byte) {
	body, binary := encodePayload(s.version, s.asText || q.base64 || q.jsonp != "", s.escaper(), frames)
	contentType := "text/plain; charset=UTF-8"
	switch {
	case binary:
		contentType = "application/octet-stream"
	case q.jsonp != "":
		contentType = "text/javascript; charset=UTF-8"
		body = encodeJSONP(q.jsonp, body)
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Now().Add(writeTimeout)) // not every ResponseWriter has deadlines
	if _, err := w.Write(body); err != nil {
		s.end(transportError)
		return
	}
	if err := rc.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.end(transportError)
		return
	}
	_ = rc.SetWriteDeadline(time.Time{})
}
