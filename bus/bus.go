// Package bus carries what happened in a room to every node that has members
// of the room online.
//
// Delivery is at most once: a bus may lose events, never invent or reorder
// them. The hub sees a loss by the hole in Rev, and clients resume from the
// store. So nothing here needs to be durable, and a bus can be restarted at
// any time.
package bus

import "github.com/roomtide/roomtide/chat"

// Handler receives events of one room, in the order of each publisher. It may
// be called from several goroutines at once, for one room as well. It must not
// block and must not change what it is given; it may keep it.
type Handler func(room chat.RoomID, events []*chat.Event)

// Bus is one way of carrying events. Methods are safe for concurrent use.
type Bus interface {
	// Publish hands events of one room to every node that has subscribed to it,
	// this one included. The caller publishes durable events of a room in
	// ascending Rev and does not change them, or the slice, afterwards. It does
	// not wait for receivers on other nodes. An error means that some receivers
	// may have missed them.
	Publish(room chat.RoomID, events []*chat.Event) error

	// Subscribe makes this node receive the room's events, published after the
	// call returned. Subscribing twice is one subscription.
	Subscribe(room chat.RoomID) error

	// Unsubscribe undoes Subscribe. Events may still arrive for a moment.
	Unsubscribe(room chat.RoomID) error

	// Listen sets who receives. It is called once, before Subscribe.
	Listen(h Handler)

	// Close ends all subscriptions. Later calls return Unavailable.
	Close() error
}
