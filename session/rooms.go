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
	err := s.enter(ctx, cmd.Room, o, func(reply *wire.JoinReply) []byte {
		if !cmd.HasID {
			return nil
		}
		return s.ack(cmd.ID, reply)
	})
	if err != nil {
		s.fail(cmd, err)
	}
}

// enter subscribes the connection, answers with the state of the room, as frame
// writes it, and lets live events follow. On an error nothing was answered, and the
// connection is not in the room.
func (s *Session) enter(ctx context.Context, room chat.RoomID, o engine.JoinOptions, frame func(*wire.JoinReply) []byte) error {
	for {
		reply, err := s.subscribe(ctx, room, o)
		if err != nil {
			return err
		}
		if s.goLive(room, reply, frame(reply)) {
			return nil
		}
		o.Again = true // another join does not undo what put the user out
	}
}

// subscribe subscribes the connection and returns the state of the room. goLive must
// follow. On an error the connection is not in the room.
func (s *Session) subscribe(ctx context.Context, room chat.RoomID, o engine.JoinOptions) (*wire.JoinReply, error) {
	if err := chat.CheckRef("room", string(room), s.deps.Limits.IDBytes); err != nil {
		return nil, err
	}
	_, in := s.find(room)
	if !in && len(s.rooms) >= s.deps.Limits.RoomsPerConn {
		return nil, chat.E(chat.TooLarge, "at most "+strconv.Itoa(s.deps.Limits.RoomsPerConn)+" rooms on one connection")
	}
	if in && !s.conn.Subscribed(room) {
		s.forget(room) // the hub has ended the subscription, with the membership
	}
	if err := s.conn.Subscribe(room); err != nil {
		return nil, err
	}
	reply, err := s.deps.Engine.Join(ctx, s.actor, room, o)
	if err != nil {
		s.unsubscribe(room)
		return nil, err
	}
	return reply, nil
}

// goLive sends the answer with the reply and lets live events follow it. A Partial
// reply is followed by nothing: the client joins again from there. It reports false,
// and sends nothing, where the hub has ended the subscription, since the membership
// ended behind the reply: the client has its event, and would believe that it is in
// the room.
func (s *Session) goLive(room chat.RoomID, reply *wire.JoinReply, answer []byte) bool {
	if reply.Partial {
		in := s.conn.Answer(room, answer)
		s.unsubscribe(room)
		return in
	}
	if !s.conn.Enter(room, reply.Rev, answer) {
		s.forget(room)
		return false
	}
	s.conn.Resume(room, reply.Rev)
	if i, in := s.find(room); !in {
		s.rooms = slices.Insert(s.rooms, i, room)
	}
	return true
}

// unsubscribe takes the connection out of a room; the membership stays.
func (s *Session) unsubscribe(room chat.RoomID) {
	s.conn.Unsubscribe(room)
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
