package bus

import (
	"sync"

	"github.com/roomtide/roomtide/chat"
)

// Local is the part of a Bus that lies within the node: the receiver, and the lanes that
// it wants. Drivers embed it for Listen, Subscribe, Unsubscribe and Close, and ask Handler
// for whom a batch is. The zero value is ready. Safe for concurrent use.
type Local struct {
	mu      sync.RWMutex
	handler Handler
	lanes   map[Lane]struct{} // subscribed
	closed  bool
}

// Handler returns the receiver of the batches of the lane, nil if there is none. The error is
// Unavailable behind Close.
func (l *Local) Handler(lane Lane) (Handler, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return nil, errClosed("bus.Publish")
	}
	if _, subscribed := l.lanes[lane]; !subscribed {
		return nil, nil
	}
	return l.handler, nil
}

// Listen implements Bus.
func (l *Local) Listen(h Handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handler = h
}

// Subscribe implements Bus.
func (l *Local) Subscribe(lane Lane) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errClosed("bus.Subscribe")
	}
	if l.lanes == nil {
		l.lanes = map[Lane]struct{}{}
	}
	l.lanes[lane] = struct{}{}
	return nil
}

// Unsubscribe implements Bus.
func (l *Local) Unsubscribe(lane Lane) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errClosed("bus.Unsubscribe")
	}
	delete(l.lanes, lane)
	return nil
}

// Close implements Bus.
func (l *Local) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	clear(l.lanes)
	return nil
}

func errClosed(op string) error {
	return &chat.Error{Kind: chat.Unavailable, Op: op, Text: "the bus is closed"}
}
