package bus

import "github.com/roomtide/roomtide/chat"

// Lane names a lane: the number of the shard whose commits it orders.
type Lane int

// Batch is what a lane says at once: either all events of one commit, in all
// rooms that the commit changed, or events that are not stored.
//
// A lane commits at positions 1, 2, 3…, without holes, also across restarts and
// changes of its owner: the position is a row of the shard. The owner publishes
// one batch for each commit, also for a commit without events, with
// After = Position-1. So a receiver whose last batch of a lane ended at P has
// missed nothing if and only if the next one begins with After = P. Any other
// After is a hole: lower ones too, which a shard restored from a backup causes.
// A batch without rooms and with After = Position commits nothing and repeats
// where the lane stands, for the receivers of an idle lane.
//
// Events that are not stored (presence, typing, read marks) travel on the lane of
// their room, in batches with After = Position = 0. Any node publishes these, and
// a loss of one is not noticed.
type Batch struct {
	Lane     Lane
	After    int64        // the position before the commit
	Position int64        // the position of the commit; 0: nothing in it is stored
	Rooms    []RoomEvents // each room once
}

// RoomEvents is what a batch says in one room: its durable events in ascending
// Rev. Each event's Room is that room.
type RoomEvents struct {
	Room   chat.RoomID
	Events []*chat.Event

	// History is the room's rev if the commit has put messages of the past into the
	// room, 0 otherwise. These are not among Events: receivers have clients read them.
	History chat.Rev
}

// Ephemeral returns the batch of one event that is not stored. lane is that of
// the event's room.
func Ephemeral(lane Lane, ev *chat.Event) *Batch {
	return &Batch{Lane: lane, Rooms: []RoomEvents{{Room: ev.Room, Events: []*chat.Event{ev}}}}
}
