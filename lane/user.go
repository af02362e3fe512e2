package lane

import (
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Read moves the user's read mark of a room forward; marks never go back. It
// is applied by the user's lane. Seq is not beyond the room's newest message
// (the engine sees to that). Replies UserRoom, Changed.
type Read struct {
	User chat.UserID
	Room chat.RoomID
	Seq  chat.Seq
}

func (o *Read) Slot() chat.Slot { return o.User.Slot() }

func (o *Read) size() int { return 128 }

func (o *Read) need(b *batch) { b.needUserRoom(o.User, o.Room) }

func (o *Read) apply(b *batch) (Reply, error) {
	u := b.userRoom(o.User, o.Room)
	if o.Seq <= u.Read {
		return Reply{UserRoom: u}, nil
	}
	u.Read = o.Seq
	b.setUserRoom(u)
	return Reply{UserRoom: u, Changed: true}, nil
}

// Project brings the user's side of a membership up to the member row. It is
// idempotent and may come late or out of order: the row with the higher Rev
// wins. Somebody who was not in the room starts with everything up to Seq read.
type Project struct {
	Member chat.Member
	Seq    chat.Seq
}

func (o *Project) Slot() chat.Slot { return o.Member.User.Slot() }

func (o *Project) size() int { return 128 }

func (o *Project) need(b *batch) { b.needUserRoom(o.Member.User, o.Member.Room) }

func (o *Project) apply(b *batch) (Reply, error) {
	u := b.userRoom(o.Member.User, o.Member.Room)
	if o.Member.Rev <= u.Rev {
		return Reply{UserRoom: u}, nil
	}
	if !u.Role.Present() && o.Member.Role.Present() && o.Seq > u.Read {
		u.Read = o.Seq
	}
	u.Role, u.Rev = o.Member.Role, o.Member.Rev
	b.setUserRoom(u)
	return Reply{UserRoom: u, Changed: true}, nil
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
