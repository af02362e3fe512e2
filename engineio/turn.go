package engineio

// The handler is called by whoever has the socket's turn: the request of the
// handshake, a POST, the reader of a WebSocket. Nobody waits for the turn to
// tell of the end: who ends the socket while another has the turn leaves the
// telling to them.

// enter waits for the turn. It fails when the socket has ended.
func (s *Socket) enter() bool {
	s.turn.Lock()
	if s.ended.Load() {
		s.leave()
		return false
	}
	return true
}

// leave gives the turn back.
func (s *Socket) leave() {
	s.turn.Unlock()
	s.tell()
}

// tell tells the handler of the end, once. If somebody has the turn, they do it
// when they leave, for ended was set before.
func (s *Socket) tell() {
	if !s.ended.Load() || !s.turn.TryLock() {
		return
	}
	defer s.turn.Unlock()
	if s.told {
		return
	}
	s.told = true
	defer s.srv.work.Done()
	s.guard("Close", func() { s.srv.handler.Close(s, s.ending.reason) })
}

// guard keeps a panic of the handler to this socket.
func (s *Socket) guard(call string, f func()) {
	defer func() {
		if v := recover(); v != nil {
			s.srv.counts.panics.Report(s.srv.opts.Log, v, "call", call)
			s.end(panicked)
		}
	}()
	f()
}
