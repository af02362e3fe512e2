// Package membus is the bus of a single node: events go from the publisher
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
	rooms   map[chat.RoomID]struct{}
	closed  bool
}

var _ bus.Bus = (*Bus)(nil)

// New returns a bus with one node.
func New() *Bus { return &Bus{rooms: map[chat.RoomID]struct{}{}} }

// Publish implements bus.Bus. The handler has seen the events when it returns.
func (b *Bus) Publish(room chat.RoomID, events []*chat.Event) error {
	b.mu.RLock()
	handler, closed := b.handler, b.closed
	_, wanted := b.rooms[room]
	b.mu.RUnlock()
	if closed {
		return errClosed("bus.Publish")
	}
	if wanted && handler != nil {
		handler(room, events)
	}
	return nil
}

// Subscribe implements bus.Bus.
func (b *Bus) Subscribe(room chat.RoomID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errClosed("bus.Subscribe")
	}
	b.rooms[room] = struct{}{}
	return nil
}

// Unsubscribe implements bus.Bus.
func (b *Bus) Unsubscribe(room chat.RoomID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errClosed("bus.Unsubscribe")
	}
	delete(b.rooms, room)
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
	clear(b.rooms)
	return nil
}

func errClosed(op string) error {
	return &chat.Error{Kind: chat.Unavailable, Op: op, Text: "the bus is closed"}
}
