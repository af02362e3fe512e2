package engineio

import (
	"time"

	"github.com/roomtide/roomtide/internal/wheel"
)

// heartbeat is the liveness of the client. In protocol 4 the server pings and the
// client has PingTimeout to answer; in protocol 3 the client pings and has
// PingInterval and PingTimeout between two pings. So a client that never comes
// back expires like any other, also one that has never polled.
type heartbeat struct {
	awaiting  bool // due is the end, unless a packet arrives
	refreshed bool // a packet arrived that was not the pong, and moved due once
}

// newWheel makes the wheel that looks after the deadlines of all sockets.
func newWheel(o *Options) *wheel.Wheel[*Socket] {
	tick := min(max(min(o.PingInterval, o.PingTimeout)/20, time.Millisecond), 250*time.Millisecond)
	return wheel.New(tick, o.PingInterval+o.PingTimeout,
		func(s *Socket) *wheel.Entry[*Socket] { return &s.entry }, (*Socket).advance)
}

// beginHeartbeat is for a new socket.
func (s *Socket) beginHeartbeat(now time.Duration) {
	s.due = now + s.srv.opts.PingInterval
	if s.version == 3 {
		s.heartbeat.awaiting = true
		s.due += s.srv.opts.PingTimeout
	}
}

// checkDue does what is due and reports whether the client's time is over. The
// wheel calls it after due, and every request before anything else: a deadline
// holds to the moment, although the wheel is coarse. mu is held.
func (s *Socket) checkDue(now time.Duration) (expired bool) {
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
	case s.heartbeat.awaiting:
		return true
	}
	// The time to answer begins when the ping was due. If the process was asleep
	// then, that would leave the client nothing.
	sent := s.due
	if now-sent > s.srv.opts.PingTimeout/2 {
		sent = now
	}
	s.heartbeat = heartbeat{awaiting: true}
	s.due = sent + s.srv.opts.PingTimeout
	s.push(pingFrame)
	return false
}

// pingFrame and pongFrame are shared and never written to.
var (
	pingFrame = appendPacket(nil, kindPing, "")
	pongFrame = appendPacket(nil, kindPong, "")
)

// received notes a packet: it is what keeps the session alive. It fails when a
// heartbeat goes the wrong way.
func (s *Socket) received(k kind) bool {
	o := &s.srv.opts
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.srv.now()
	switch {
	case s.version == 3 && k == kindPing:
		s.due = now + o.PingInterval + o.PingTimeout
		s.pushAnswer(pongFrame)
	case s.version == 4 && k == kindPong:
		s.heartbeat = heartbeat{}
		s.due = now + o.PingInterval
	case k == kindPing, k == kindPong:
		return false
	case s.version == 4 && s.heartbeat.awaiting && !s.heartbeat.refreshed:
		// A pong may be stuck behind a large message.
		s.heartbeat.refreshed = true
		s.due = now + o.PingTimeout
	}
	return true
}

// advance is called by the wheel, which is coarse, and returns when to be called
// again.
func (s *Socket) advance(time.Duration) (next time.Duration) {
	now := s.srv.now()
	s.mu.Lock()
	expired := s.checkDue(now)
	next = s.due
	if s.heartbeat.awaiting && s.version == 4 {
		next = min(next, now+s.srv.opts.PingInterval) // a pong may bring the next ping forward to this
	}
	s.mu.Unlock()
	if expired {
		s.expire() // takes it out of the wheel
	}
	return next
}

// expire ends a socket whose time is over.
func (s *Socket) expire() {
	s.end(pingTimeout)
	s.srv.leave(s) // also one that had ended and was kept for a poll
}
