// Package bus carries what lanes commit to every node that has rooms of the lane
// open, and what is not stored (presence, typing) along the same way.
//
// The unit is the batch: what one commit says to all its rooms, published once.
// Nodes subscribe to lanes, not to rooms.
//
// Delivery is at most once: a bus may lose batches, never invent, repeat or
// change them. A receiver sees a loss by the hole in the lane's positions, and
// clients resume from the store. So nothing here needs to be durable, and a bus
// can be restarted at any time.
package bus

// Handler receives batches. One call is one batch, whole, and its return is the
// end of the batch: a receiver that gathers work for later acts on it then, since
// nothing else may follow for any time.
//
// Batches of one lane and one publisher come in the order in which they were
// published, one after the other. Those of different publishers or lanes may come
// at the same time, from several goroutines. The handler must not block, and must
// not change what it is given. It may keep the events; the Batch and its slices
// are the publisher's or the driver's again when it returns.
type Handler func(b *Batch)

// Bus is one way of carrying batches. Methods are safe for concurrent use.
type Bus interface {
	// Publish hands a batch to every node that has subscribed to its lane, this
	// one included if it has. It does not wait for receivers on other nodes, and
	// keeps the events at most: the caller may use the Batch and its slices again
	// when it returns, but never changes the events. An error means that some
	// receivers may have missed the batch; a node that has ended is no error. A
	// driver may refuse a batch that is too large for it (natsbus: over 32 MiB). For
	// order, the caller publishes the batches of one lane one after the other, by
	// ascending position.
	Publish(b *Batch) error

	// Subscribe makes this node receive the lane's batches that are published
	// after the call has returned; earlier ones may come as well. Subscribing
	// twice is one subscription.
	Subscribe(lane Lane) error

	// Unsubscribe undoes Subscribe. Batches may still arrive for a moment. A lane
	// that is not subscribed is no error.
	Unsubscribe(lane Lane) error

	// Listen sets the receiver. It is called once, before Subscribe.
	Listen(h Handler)

	// Close ends all subscriptions. Later calls of Publish, Subscribe and
	// Unsubscribe return Unavailable.
	Close() error
}
