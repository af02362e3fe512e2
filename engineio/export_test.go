package engineio

import "time"

// Internal state that the black-box tests wait for.

const (
	ProbeHold   = probeHold
	CloseLinger = closeLinger
	NoopLinger  = noopLinger
	Linger      = linger
	MaxPackets  = maxPackets
)

// Waiting reports whether a poll of the session waits.
func (s *Server) Waiting(sid string) bool {
	s.mu.Lock()
	sock := s.sockets[sid]
	s.mu.Unlock()
	if sock == nil {
		return false
	}
	sock.mu.Lock()
	defer sock.mu.Unlock()
	return sock.poll != nil
}

// Find returns the socket of a session.
func (s *Server) Find(sid string) *Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sockets[sid]
}

// Stalled reports whether the socket waits for its client to read.
func (s *Socket) Stalled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stalled
}

// Pinged reports whether a ping waits for its pong.
func (s *Socket) Pinged() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heartbeat.awaiting
}

// Held is how many bytes are queued.
func (s *Socket) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cap(s.queue.out) + cap(s.queue.own)
}

// Tick is how coarse the wheel is.
func (s *Server) Tick() time.Duration { return s.wheel.Tick() }
