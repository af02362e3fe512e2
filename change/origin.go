package change

import (
	"errors"

	"github.com/roomtide/roomtide/chat"
)

// Origin says how a change has come to its lane. The zero Origin: from a caller on this node.
type Origin struct {
	Sender uint64 // numbers its changes for each lane, in their order
	Number uint64 // of the change
	Queue  uint64 // number of the entry of the queue that ends with the change; 0: it does not end one
	Map    int64  // version of the slot map by which the sender has chosen the lane
}

// Progress is how far a lane has taken what senders have handed to it: everything below
// is decided and committed.
type Progress struct {
	Queue uint64            // entries of the lane's queue up to this number
	Next  map[uint64]uint64 // by sender, the number that is taken next
}

// ErrMoved is the outcome of a change whose slot has left the lane before it was decided:
// its sender hands it on by a newer slot map. Nothing was done.
var ErrMoved = errors.New("change: its slot has moved to another lane")

// IsFull reports whether a change was refused because a queue in front of its lane had no space,
// here or on another node: nothing was decided, and it can be handed in again as it is. Any other
// Busy is what the rules of the lane have decided, and is an outcome.
func IsFull(err error) bool {
	var e *chat.Error
	if !errors.As(err, &e) || e.Kind != chat.Busy {
		return false
	}
	switch e.Op {
	case "lane.submit", "relay.forward", "relay.reroute":
		return true
	}
	return false
}
