// Package membus is the bus of a single node: batches go from the publisher
// straight to the handler, in the publisher's goroutine.
package membus

import (
	"sync"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
)

// Bus is an in-process bus.Bus. It loses nothing.
type Bus struct {
	mu      sync.RWMutex
	handler bus.Handler
	lanes   map[bus.Lane]struct{} // subscribed
	closed  bool
}

var _ bus.Bus = (*Bus)(nil)

// New returns a bus with one node.
func New() *Bus { return &Bus{lanes: map[bus.Lane]struct{}{}} }

// Publish implements bus.Bus. The handler has returned when it returns.
func (b *Bus) Publish(batch *bus.Batch) error {
	b.mu.RLock()
	handler, closed := b.handler, b.closed
	_, subscribed := b.lanes[batch.Lane]
	b.mu.RUnlock()
	if closed {
		return errClosed("bus.Publish")
	}
	if subscribed && handler != nil {
		handler(batch)
	}
	return nil
}

// Subscribe implements bus.Bus.
func (b *Bus) Subscribe(lane bus.Lane) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errClosed("bus.Subscribe")
	}
	b.lanes[lane] = struct{}{}
	return nil
}

// Unsubscribe implements bus.Bus.
func (b *Bus) Unsubscribe(lane bus.Lane) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errClosed("bus.Unsubscribe")
	}
	delete(b.lanes, lane)
	return nil
}

// Listen implements bus.Bus.
func (b *Bus) Listen(h bus.Handler) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.handler = h
}

// Close implements bus.Bus.
func (b *Bus) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	clear(b.lanes)
	return nil
}

func errClosed(op string) error {
	return &chat.Error{Kind: chat.Unavailable, Op: op, Text: "the bus is closed"}
}
