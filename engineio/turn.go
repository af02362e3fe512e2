package engineio

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

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

// guard keeps a panic of the handler to this socket. The log gets where it was
// and not its value, which may quote what the client sent.
func (s *Socket) guard(call string, f func()) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		s.srv.counts.panics.Add(1)
		text := fmt.Sprintf("%T", v)
		if e, ok := v.(runtime.Error); ok {
			text = e.Error()
		}
		s.srv.opts.Log.Error("a handler panicked", "call", call, "panic", text, "stack", string(debug.Stack()))
		s.end(panicked)
	}()
	f()
}
