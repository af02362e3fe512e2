package socketio

import (
	"context"
	"sync/atomic"
	"time"
)

// Event is an event that a client sent.
type Event struct {
	Message
	socket *Socket
	id     uint64
	wants  bool
	acked  atomic.Bool
}

// AckID is the id that an ack would need, and false when the client wants none.
// A program that writes the ack with AppendAck does not call Ack.
func (e *Event) AckID() (uint64, bool) { return e.id, e.wants }

// Ack answers the event, once, from any goroutine and also after the handler
// has returned. See NewMessage for the arguments.
func (e *Event) Ack(args ...any) error {
	m, err := NewMessage("", args...)
	if err != nil {
		return err
	}
	return e.Reply(m)
}

// Reply answers the event with the arguments and attachments of m.
func (e *Event) Reply(m Message) error {
	if err := m.check(TypeAck); err != nil {
		return err
	}
	if !e.wants || e.acked.Swap(true) {
		return ErrAcked
	}
	s := e.socket
	if !s.Connected() {
		return ErrClosed
	}
	p := &Packet{Type: TypeAck, Namespace: s.nsp.name, ID: e.id, HasID: true, Message: m}
	return s.client.report(s.client.send(encode(p), false))
}

// handle runs the handlers of an event.
func (s *Socket) handle(p *Packet) {
	e := &Event{Message: p.Message, socket: s, id: p.ID, wants: p.HasID}
	s.guard("On", func() {
		if !s.passes(e) {
			return
		}
		for _, f := range s.nsp.onAny {
			f(s, e)
		}
		for _, f := range s.nsp.on[e.Name] {
			f(s, e)
		}
		for _, f := range s.ownHandlers(e.Name) {
			f(e)
		}
	})
}

// passes runs the middleware for events.
func (s *Socket) passes(e *Event) bool {
	for _, f := range s.nsp.filters {
		if err := f(s, e); err != nil {
			for _, told := range s.nsp.onRefused {
				told(s, e, err)
			}
			return false
		}
	}
	return true
}

// acks are the events of one socket that wait for the client's ack.
type acks struct {
	next    uint64
	pending map[uint64]*pendingAck
}

// pendingAck is an event of the server that waits for the client's ack.
type pendingAck struct {
	done  func(Message, error)
	timer *time.Timer // nil: no timeout
}

// EmitAck sends an event that the client acknowledges. done runs once, as
// handlers do: with the answer, with ErrTimeout, or with ErrClosed when the
// socket ends first. A timeout of 0 is none. An error means that nothing was
// sent and that done will not run. Recovery does not repeat such events.
func (s *Socket) EmitAck(timeout time.Duration, done func(answer Message, err error), name string, args ...any) error {
	m, err := NewMessage(name, args...)
	if err != nil {
		return err
	}
	_, err = s.ask(m, timeout, done)
	return err
}

func (s *Socket) ask(m Message, timeout time.Duration, done func(Message, error)) (id uint64, err error) {
	if err := m.check(TypeEvent); err != nil {
		return 0, err
	}
	if !s.Connected() {
		return 0, ErrClosed
	}
	if id, err = s.expect(timeout, done); err != nil {
		return 0, err
	}
	p := &Packet{Type: TypeEvent, Namespace: s.nsp.name, ID: id, HasID: true, Message: m}
	if err = s.client.send(encode(p), false); err == nil {
		s.nsp.tellOutgoing(&m, s)
		return id, nil
	}
	called := s.takeAck(id) == nil // done was, by the end of the socket
	if s.client.report(err); called {
		err = nil
	}
	return id, err
}

// Call is EmitAck for a goroutine that wants to wait for the answer. A handler
// of the same connection must not: the answer cannot come before it returns.
func (s *Socket) Call(ctx context.Context, name string, args ...any) (Message, error) {
	m, err := NewMessage(name, args...)
	if err != nil {
		return Message{}, err
	}
	var answer Message
	var failed error
	answered := make(chan struct{})
	id, err := s.ask(m, 0, func(m Message, err error) {
		answer, failed = m, err
		close(answered)
	})
	if err != nil {
		return Message{}, err
	}
	select {
	case <-answered:
		return answer, failed
	case <-ctx.Done():
		s.takeAck(id)
		return Message{}, ctx.Err()
	}
}

// expect notes an ack that is to come.
func (s *Socket) expect(timeout time.Duration, done func(Message, error)) (id uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
		return 0, ErrClosed
	case s.acks == nil:
		s.acks = &acks{pending: map[uint64]*pendingAck{}}
	case len(s.acks.pending) >= s.nsp.srv.opts.MaxAcks:
		return 0, ErrAcks
	}
	id = s.acks.next
	s.acks.next++
	a := &pendingAck{done: done}
	if timeout > 0 {
		a.timer = time.AfterFunc(timeout, func() { s.expire(id) })
	}
	s.acks.pending[id] = a
	return id, nil
}

// expire gives up on an ack.
func (s *Socket) expire(id uint64) {
	if a := s.takeAck(id); a != nil {
		s.client.handlers.do(func() { s.guard("EmitAck", func() { a.done(Message{}, ErrTimeout) }) })
	}
}

// takeAck removes and returns the pending ack with that id: done is called once.
func (s *Socket) takeAck(id uint64) *pendingAck {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.acks == nil {
		return nil
	}
	a := s.acks.pending[id]
	if a == nil {
		return nil
	}
	delete(s.acks.pending, id)
	if a.timer != nil {
		a.timer.Stop()
	}
	return a
}

// acked takes an ack from the client. One that is not pending is late, and ignored.
func (s *Socket) acked(p *Packet) {
	if a := s.takeAck(p.ID); a != nil {
		s.guard("EmitAck", func() { a.done(p.Message, nil) })
	}
}

// dropAcks ends all pending acks with ErrClosed.
func (s *Socket) dropAcks() {
	s.mu.Lock()
	var pending map[uint64]*pendingAck
	if s.acks != nil {
		pending = s.acks.pending
	}
	s.acks, s.over = nil, true
	s.mu.Unlock()
	for _, a := range pending {
		if a.timer != nil {
			a.timer.Stop()
		}
		s.guard("EmitAck", func() { a.done(Message{}, ErrClosed) })
	}
}
