// Package membus is the bus of a single node: batches go from the publisher
// straight to the handler, in the publisher's goroutine.
package membus

import "github.com/roomtide/roomtide/bus"

// Bus is an in-process bus.Bus. It loses nothing.
type Bus struct{ bus.Local }

var _ bus.Bus = (*Bus)(nil)

// New returns a bus with one node.
func New() *Bus { return &Bus{} }

// Publish implements bus.Bus. The handler has returned when it returns.
func (b *Bus) Publish(batch *bus.Batch) error {
	handler, err := b.Handler(batch.Lane)
	if err != nil {
		return err
	}
	if handler != nil {
		handler(batch)
	}
	return nil
}
