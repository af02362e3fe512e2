package notify

import (
	"context"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/lru"
	"github.com/roomtide/roomtide/store"
)

const (
	rosterRooms = 4096
	rosterTime  = 5 * time.Second
)

// roster remembers who is in the rooms of a shard in which something was written just now.
// A room is forgotten when the outbox says that a membership has changed, when slots
// move, and after a few seconds anyway: another node may have had the lane meanwhile. Used
// by one goroutine at a time.
type roster struct {
	most    int // members of a room that are remembered
	now     func() time.Time
	version int64 // of the slot map
	rooms   *lru.Map[chat.RoomID, rosterRoom]
}

type rosterRoom struct {
	users []chat.UserID
	large bool // there are more than most, and none is remembered
	ends  time.Time
}

func newRoster(most int, now func() time.Time) *roster {
	return &roster{most: most, now: now, rooms: lru.New[chat.RoomID, rosterRoom](rosterRooms)}
}

// begin says which slot map is in force.
func (r *roster) begin(version int64) {
	if version != r.version {
		r.version = version
		r.rooms.Clear()
	}
}

func (r *roster) forget(room chat.RoomID) { r.rooms.Delete(room) }

// of returns the members of a room, or that there are too many.
func (r *roster) of(ctx context.Context, reader *store.Reader, room chat.RoomID) (users []chat.UserID, large bool, err error) {
	now := r.now()
	if known, ok := r.rooms.Get(room); ok && now.Before(known.ends) {
		return known.users, known.large, nil
	}
	members, err := reader.Members(ctx, room, chat.RoleNone, "", r.most+1)
	if err != nil {
		return nil, false, err
	}
	found := rosterRoom{large: len(members) > r.most, ends: now.Add(rosterTime)}
	if !found.large {
		for i := range members {
			found.users = append(found.users, members[i].User)
		}
	}
	r.rooms.Put(room, found)
	return found.users, found.large, nil
}
