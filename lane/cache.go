package lane

import (
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/recent"
	"github.com/roomtide/roomtide/store"
)

// cache remembers rooms and members between the batches of one lane. It is
// never stale, see the package comment; it is forgotten when a commit fails.
// Owned by the lane's goroutine.
type cache struct {
	rooms   *recent.Map[chat.RoomID, chat.Room]
	members *recent.Map[store.MemberKey, chat.Member]
}

// How many rows a lane remembers for sure.
const (
	cachedRooms   = 16 << 10
	cachedMembers = 64 << 10
)

func newCache() *cache {
	return &cache{
		rooms:   recent.New[chat.RoomID, chat.Room](cachedRooms),
		members: recent.New[store.MemberKey, chat.Member](cachedMembers),
	}
}

func (c *cache) forget() {
	c.rooms.Clear()
	c.members.Clear()
}
