package engine

import (
	"context"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/wire"
)

// roomsListed is how many rooms "my rooms" lists at most.
const roomsListed = 1000

// Rooms returns the rooms the actor is a member of, with what is unread and
// the newest message, in ascending room id.
func (e *Engine) Rooms(ctx context.Context, a Actor) (*wire.RoomsReply, error) {
	if a.User == "" {
		return nil, chat.E(chat.Invalid, "say for which user")
	}
	mine, err := e.cfg.Store.User(a.User).UserRooms(ctx, a.User, roomsListed)
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

// RoomPatch is what to change of a room; nil fields stay.
type RoomPatch struct {
	Title    *string
	Open     *bool
	ReadOnly *bool
}

// PutRoom changes a room, or makes it: by the host's back end as it says, by a
// user where users make rooms, who then owns it.
func (e *Engine) PutRoom(ctx context.Context, a Actor, room chat.RoomID, p RoomPatch) (*wire.RoomReply, bool, error) {
	if err := e.checkRoom(room); err != nil {
		return nil, false, err
	}
	if p.Title != nil {
		if err := chat.CheckName("title", *p.Title, e.cfg.Limits.NameBytes); err != nil {
			return nil, false, err
		}
	}
	if err := e.rates.change(&a, room); err != nil {
		return nil, false, err
	}
	op := &lane.SetRoom{Room: room, By: a.User, Server: a.Server, Title: p.Title, Open: p.Open, ReadOnly: p.ReadOnly}
	if a.Server || e.cfg.UsersMakeRooms {
		op.Create = &chat.Room{Open: e.cfg.UsersMakeRooms}
	}
	r, err := e.cfg.Lanes.Do(ctx, op)
	if err != nil {
		return nil, false, err
	}
	return &wire.RoomReply{Room: &r.Room}, r.Created, nil
}
