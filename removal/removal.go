// Package removal removes the rows of rooms that were deleted. A room does not exist
// any more from the commit that deletes it; what is left of it goes in steps that
// are small enough for the changes of other rooms to pass in between, and at the
// same time the user's side of its memberships (package projection).
package removal

import (
	"context"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/store"
)

// Lanes is what the removal needs of lane.Lanes.
type Lanes interface {
	Do(ctx context.Context, op change.Change) (change.Reply, error)
}

// DeletedRooms returns the consumer that removes what is left of a room when its
// deletion was committed. It goes on after a restart where it was.
func DeletedRooms(lanes Lanes) outbox.Consumer {
	return outbox.Consumer{
		Name: "deleted-rooms", Start: outbox.FromOldest,
		Consume: func(ctx context.Context, _ int, e *store.Entry) error { return apply(ctx, lanes, e) },
	}
}

func apply(ctx context.Context, lanes Lanes, e *store.Entry) error {
	for i := range e.Rooms {
		if !mayBeDeleted(&e.Rooms[i]) {
			continue
		}
		for left := true; left; {
			r, err := lanes.Do(ctx, &change.RemoveRoom{Room: e.Rooms[i].Room})
			if err != nil {
				return err
			}
			left = r.Changed
		}
	}
	return nil
}

// mayBeDeleted reports whether the deletion of the room is among its changes: it is
// one of the room itself, such as a new title.
func mayBeDeleted(s *store.RoomSpan) bool {
	for _, r := range s.Runs {
		if r.Kind == chat.EventRoom {
			return true
		}
	}
	return false
}
