package engineio

import "time"

// heart is what is known of the client's life. In protocol 4 the server pings
// and the client has PingTimeout to answer; in protocol 3 the client pings and
// has PingInterval and PingTimeout between two pings. So a client that never
// comes back expires like any other, also one that has never polled.
type heart struct {
	awaiting  bool // due is the end, unless the client gives a sign of life
	refreshed bool // it gave one that was not the pong, and got some more time
}

// beginHeartbeat is for a new socket.
func (s *Socket) beginHeartbeat(now time.Duration) {
	s.due = now + s.srv.opts.PingInterval
	if s.version == 3 {
		s.heart.awaiting = true
		s.due += s.srv.opts.PingTimeout
	}
}

// beat does what is due and reports whether the client's time is over. The wheel
// calls it after due, and every request before anything else: a deadline holds
// to the moment, although the wheel is coarse. mu is held.
func (s *Socket) beat(now time.Duration) (expired bool) {
	switch {
	case s.ended.Load():
		if s.lasts && now >= s.due {
			s.lasts = false
			s.queue = queue{} // only of a session that polls
			return true
		}
		return false
	case now < s.due:
		return false
	case s.heart.awaiting:
		return true
	}
	// The time to answer begins when the ping was due. If the process was asleep
	// then, that would leave the client nothing.
	sent := s.due
	if now-sent > s.srv.opts.PingTimeout/2 {
		sent = now
	}
	s.heart = heart{awaiting: true}
	s.due = sent + s.srv.opts.PingTimeout
	s.push(pingFrame)
	return false
}

// pingFrame and pongFrame are shared and never written to.
var (
	pingFrame = appendPacket(nil, kindPing, "")
	pongFrame = appendPacket(nil, kindPong, "")
)

// heard notes a packet. It fails when a heartbeat goes the wrong way.
func (s *Socket) heard(k kind) bool {
	o := &s.srv.opts
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.srv.now()
	switch {
	case s.version == 3 && k == kindPing:
		s.due = now + o.PingInterval + o.PingTimeout
		s.pushAnswer(pongFrame)
	case s.version == 4 && k == kindPong:
		s.heart = heart{}
		s.due = now + o.PingInterval
	case k == kindPing, k == kindPong:
		return false
	case s.version == 4 && s.heart.awaiting && !s.heart.refreshed:
		// A pong may be stuck behind a large message.
		s.heart.refreshed = true
		s.due = now + o.PingTimeout
	}
	return true
}

// visit is the wheel's. It returns when to come again, unless the socket is gone.
func (s *Socket) visit(now time.Duration) (due time.Duration, ok bool) {
	s.mu.Lock()
	expired := s.beat(now)
	due = s.due
	if s.heart.awaiting && s.version == 4 {
		due = min(due, now+s.srv.opts.PingInterval) // a pong may bring the next ping forward to this
	}
	s.mu.Unlock()
	if expired {
		s.expire()
		return 0, false
	}
	return due, true
}

// expire ends a socket whose time is over.
func (s *Socket) expire() {
	s.end(pingTimeout)
	s.srv.leave(s) // also one that had ended and was kept for a poll
}
