// Package presence knows who is online in a room.
//
// Tracker counts the connections of this node, lets a user who comes straight
// back keep their seat, tells rooms about it in gathered events, and answers
// from a Driver (in process, Redis); when the driver cannot answer, the store
// does.
package presence

import (
	"context"

	"github.com/roomtide/roomtide/chat"
)

// Change says that a user came online in a room on this node, or went.
type Change struct {
	Room chat.RoomID
	User chat.UserID
	On   bool
}

// Driver keeps the set of users online in each room, of all nodes. It holds no
// truth: it may be wiped at any time and each node tells it again. Methods are
// safe for concurrent use.
type Driver interface {
	// Apply notes changes of this node, in order. It is called from one goroutine
	// at a time. Noting what is noted already changes nothing.
	Apply(ctx context.Context, changes []Change) error

	// Online returns up to limit users online in the room on any node, in
	// ascending order, and how many there are in all. A user is counted once,
	// however many nodes and connections they have.
	Online(ctx context.Context, room chat.RoomID, limit int) (users []chat.UserID, count int, err error)

	Close() error
}
