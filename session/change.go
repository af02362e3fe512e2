package session

import (
	"context"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/wire"
)

// change hands a durable change to the engine. The answer comes with the
// commit, later than Handle returns; when too many are on their way, Handle
// waits for one of them and so stops reading from the client.
func (s *Session) change(ctx context.Context, cmd *wire.Command) {
	if cmd.Bare {
		if err := s.joinToSend(ctx, cmd.Room); err != nil {
			s.fail(cmd, err)
			return
		}
	}
	if s.slots == nil { // who only listens needs none
		s.slots = make(chan struct{}, s.deps.Limits.InFlight)
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	done := s.whenDone(cmd)
	e, a := s.deps.Engine, s.actor
	switch cmd.Type {
	case wire.Message:
		e.Send(a, cmd.Room, chat.Draft{Text: cmd.Text, Key: cmd.Key, ReplyTo: cmd.ReplyTo, Data: cmd.Data}, done)
	case wire.Edit:
		e.Edit(a, cmd.Room, cmd.Seq, cmd.Text, cmd.Data, done)
	case wire.Delete:
		e.Delete(a, cmd.Room, cmd.Seq, done)
	case wire.React:
		e.React(a, cmd.Room, cmd.Seq, cmd.Emoji, cmd.On == nil || *cmd.On, done)
	}
}

// whenDone answers the command. It runs in a lane, before the lane publishes
// what it committed: the ack only queues here and leaves in the same write as
// the sender's own copy of the event.
func (s *Session) whenDone(cmd *wire.Command) engine.Done {
	id, hasID, typ, room := cmd.ID, cmd.HasID, cmd.Type, cmd.Room
	return func(r wire.SendReply, err error) {
		<-s.slots
		if err != nil {
			s.fail(&wire.Command{Type: typ, ID: id, HasID: hasID, Room: room}, err)
		} else if hasID {
			s.conn.SendLater(s.ack(id, &r))
		}
	}
}

// joinToSend joins the room for a client that just sends, unless it has.
func (s *Session) joinToSend(ctx context.Context, room chat.RoomID) error {
	if _, in := s.find(room); in {
		return nil
	}
	reply, err := s.enter(ctx, room, engine.JoinOptions{Limit: 1})
	if err == nil {
		s.flow(room, reply)
	}
	return err
}
