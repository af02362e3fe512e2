package lane

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func (b *batch) needRead(c *change.Read) {
	b.needUserRoom(c.User, c.Room)
	b.needReadJobs(c.User, c.Room)
}

func (b *batch) applyRead(c *change.Read) (change.Reply, error) {
	u := b.userRoom(c.User, c.Room)
	if c.Seq <= u.Read {
		return change.Reply{Read: u.Read}, nil
	}
	u.Read = c.Seq
	b.setUserRoom(u)
	b.readJobs(c.User, c.Room, c.Seq, false)
	return change.Reply{Read: u.Read, Changed: true}, nil
}

func (b *batch) needUserRoom(user chat.UserID, id chat.RoomID) {
	b.want.UserRooms = append(b.want.UserRooms, store.UserRoomKey{User: user, Room: id})
}

func (b *batch) userRoom(user chat.UserID, id chat.RoomID) store.UserRoom {
	k := store.UserRoomKey{User: user, Room: id}
	if u := b.userRooms[k]; u != nil {
		return *u
	}
	if u, ok := b.state.UserRooms[k]; ok {
		return u
	}
	return store.UserRoom{User: user, Room: id}
}

func (b *batch) setUserRoom(u store.UserRoom) {
	if b.userRooms == nil {
		b.userRooms = map[store.UserRoomKey]*store.UserRoom{}
	}
	b.userRooms[store.UserRoomKey{User: u.User, Room: u.Room}] = &u
}
