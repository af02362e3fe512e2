package session

import (
	"context"
	"slices"
	"strconv"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/wire"
)

// join subscribes the connection to a room: first the subscription, so that nothing
// is missed, then the state of the room, then every event after that.
func (s *Session) join(ctx context.Context, cmd *wire.Command) {
	o := engine.JoinOptions{Limit: cmd.Limit, Around: engine.Around{Seq: cmd.Around, Read: cmd.AroundRead}}
	if cmd.HasAfter {
		after := chat.Rev(cmd.After)
		o.After = &after
	}
	if reply, err := s.subscribe(ctx, cmd.Room, o); err != nil {
		s.fail(cmd, err)
	} else {
		s.answer(cmd, reply, nil)
		s.goLive(cmd.Room, reply)
	}
}

// subscribe subscribes the connection and returns the state of the room. goLive must
// follow, after the reply was sent. On an error the connection is not in the room.
func (s *Session) subscribe(ctx context.Context, room chat.RoomID, o engine.JoinOptions) (*wire.JoinReply, error) {
	if err := chat.CheckRef("room", string(room), s.deps.Limits.IDBytes); err != nil {
		return nil, err
	}
	_, in := s.find(room)
	if !in && len(s.rooms) >= s.deps.Limits.RoomsPerConn {
		return nil, chat.E(chat.TooLarge, "at most "+strconv.Itoa(s.deps.Limits.RoomsPerConn)+" rooms on one connection")
	}
	if in && !s.conn.Subscribed(room) {
		s.forget(room) // the hub has ended the subscription, with the membership, and presence
	}
	for {
		if err := s.conn.Subscribe(room); err != nil {
			return nil, err
		}
		reply, err := s.deps.Engine.Join(ctx, s.actor, room, o)
		if err != nil {
			s.unsubscribe(room)
			return nil, err
		}
		if s.conn.Subscribed(room) {
			return reply, nil
		}
		// The hub has ended the subscription: the membership ended while the state was
		// read. The client has its event already, so the reply would make it believe
		// that it is in the room. Nor does another join undo what put it out.
		s.forget(room)
		o.Again = true
	}
}

// goLive lets live events follow the reply. A Partial reply is followed by nothing:
// the client joins again from there.
func (s *Session) goLive(room chat.RoomID, reply *wire.JoinReply) {
	if reply.Partial {
		s.unsubscribe(room)
		return
	}
	s.conn.Resume(room, reply.Rev)
	if i, in := s.find(room); !in {
		s.rooms = slices.Insert(s.rooms, i, room)
		s.deps.Presence.Enter(room, s.actor.User)
	}
}

// unsubscribe takes the connection out of a room; the membership stays. Where the
// hub has done so already, because the membership ended, presence has it too.
func (s *Session) unsubscribe(room chat.RoomID) {
	subscribed := s.conn.Subscribed(room)
	s.conn.Unsubscribe(room)
	if _, in := s.find(room); in && subscribed {
		s.deps.Presence.Leave(room, s.actor.User)
	}
	s.forget(room)
}

// find returns where in rooms the room is or would be.
func (s *Session) find(room chat.RoomID) (i int, in bool) { return slices.BinarySearch(s.rooms, room) }

// forget removes the room from rooms.
func (s *Session) forget(room chat.RoomID) {
	if i, in := s.find(room); in {
		s.rooms = slices.Delete(s.rooms, i, i+1)
	}
}

// leave ends the membership, and the subscription with it.
func (s *Session) leave(ctx context.Context, cmd *wire.Command) {
	_, err := s.deps.Engine.Do(ctx, s.actor, &change.Leave{Room: cmd.Room})
	if err == nil {
		s.unsubscribe(cmd.Room)
	}
	s.answer(cmd, &wire.DoneReply{Room: cmd.Room}, err)
}
