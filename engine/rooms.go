package engine

import (
	"context"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

// roomsListed is how many rooms "my rooms" lists at most.
const roomsListed = 1000

// Rooms returns the rooms that the actor is a member of, with what is unread and
// the newest message, in ascending room id.
func (e *Engine) Rooms(ctx context.Context, a Actor) (*wire.RoomsReply, error) {
	if a.User == "" {
		return nil, chat.E(chat.Invalid, "say for which user")
	}
	mine, err := e.cfg.Store.User(a.User).UserRooms(ctx, a.User, "", roomsListed)
	if err != nil {
		return nil, err
	}
	ids := make([]chat.RoomID, len(mine))
	for i := range mine {
		ids[i] = mine[i].Room
	}
	heads, err := e.cfg.Store.Heads(ctx, ids)
	if err != nil {
		return nil, err
	}
	reply := &wire.RoomsReply{}
	for _, u := range mine {
		h, ok := heads[u.Room]
		if !ok {
			continue
		}
		if h.Last != nil && h.Last.User != a.User && !a.Server {
			last := *h.Last
			last.Key, h.Last = "", &last
		}
		reply.Rooms = append(reply.Rooms, wire.MyRoom{
			Room: h.Room, Role: u.Role, Read: u.Read, Last: h.Last,
			Unread: int64(max(h.Room.LastSeq-u.Read, 0)),
		})
	}
	return reply, nil
}

// GetRoom returns the room itself.
func (e *Engine) GetRoom(ctx context.Context, a Actor, room chat.RoomID) (*wire.RoomReply, error) {
	if err := e.checkRead(ctx, &a, room); err != nil {
		return nil, err
	}
	r, err := e.cfg.Store.Room(room).Room(ctx, room)
	if err != nil {
		return nil, err
	}
	return &wire.RoomReply{Room: &r}, nil
}
