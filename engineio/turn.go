package engineio

// The turn of a socket is a mutex that is held while its handler is called: by the
// request of the handshake, by a POST, by the reader of a WebSocket. The end of a
// socket does not wait for it: if the turn is taken, the goroutine that has it
// calls the handler's Close when it leaves.

// enter takes the turn. It fails when the socket has ended.
func (s *Socket) enter() bool {
	s.turn.Lock()
	if s.ended.Load() {
		s.leave()
		return false
	}
	return true
}

// leave ends the turn.
func (s *Socket) leave() {
	s.turn.Unlock()
	s.callClose()
}

// callClose calls the handler's Close, once. If the turn is taken, leave does it: ended
// was set before.
func (s *Socket) callClose() {
	if !s.ended.Load() || !s.turn.TryLock() {
		return
	}
	defer s.turn.Unlock()
	if s.closeCalled {
		return
	}
	s.closeCalled = true
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
