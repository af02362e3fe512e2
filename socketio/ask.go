package socketio

import (
	"sync"
	"time"
)

// Answer is what one client answered to Broadcast.EmitAck.
type Answer struct {
	Socket *Socket
	Message
}

// EmitAck sends an event to the sockets that are addressed now, and each client
// acknowledges it. done runs once, when all have answered or failed to: with the
// answers that came, in their order, and with the first error, ErrTimeout for
// clients that did not answer in time (0 is no limit). Recovery does not repeat such
// events. An error means that nothing was sent and that done will not run.
func (b Broadcast) EmitAck(timeout time.Duration, done func(answers []Answer, err error), name string, args ...any) error {
	m, err := NewMessage(name, args...)
	if err != nil {
		return err
	}
	if err := m.check(TypeEvent); err != nil {
		return err
	}
	sockets := b.Sockets()
	var mu sync.Mutex
	var answers []Answer
	var first error
	left := len(sockets) + 1 // and this call
	one := func(s *Socket, m Message, err error) {
		mu.Lock()
		switch left--; {
		case err == nil && s != nil:
			answers = append(answers, Answer{s, m})
		case err != nil && first == nil:
			first = err
		}
		last := left == 0
		mu.Unlock()
		if last {
			done(answers, first)
		}
	}
	for _, s := range sockets {
		if _, err := s.ask(m, timeout, func(m Message, err error) { one(s, m, err) }); err != nil {
			one(s, Message{}, err)
		}
	}
	one(nil, Message{}, nil)
	return nil
}
