// Package presence knows which users are online in a room.
//
// Tracker counts the connections of this node, gives a user whose connection ended
// some grace to reconnect, publishes what changed in one event a room and tick,
// and answers from a Driver (in process, Redis). When the driver cannot answer, a
// Record in the store does.
package presence

import (
	"context"

	"github.com/roomtide/roomtide/chat"
)

// Change says that a user came online in a room on this node, or went offline.
type Change struct {
	Room chat.RoomID
	User chat.UserID
	On   bool
}

// Driver keeps the set of users online in each room, of all nodes. It holds no
// truth: it may be wiped at any time, and each node applies its users again.
// Methods are safe for concurrent use.
type Driver interface {
	// Apply applies changes of this node, in order. It is called from one goroutine
	// at a time. A change that is applied already changes nothing.
	Apply(ctx context.Context, changes []Change) error

	// Online returns up to limit users online in the room on any node, in
	// ascending order, and how many there are in all. A user is counted once,
	// on however many nodes and connections.
	Online(ctx context.Context, room chat.RoomID, limit int) (users []chat.UserID, count int, err error)

	Close() error
}

// Record is what the store knows of users online: the answer of last resort, which
// may be some time behind and a few users wrong. Methods are safe for concurrent use.
type Record interface {
	// Persist takes changes of this node, which are written later, or never if they
	// are undone meanwhile. It is called from one goroutine at a time and does not
	// block. For one user in one room, changes alternate between on and off, and the
	// first is on.
	Persist(changes []Change)

	// Online is as Driver.Online; it knows of a change as soon as Persist has
	// returned.
	Online(ctx context.Context, room chat.RoomID, limit int) (users []chat.UserID, count int, err error)
}
