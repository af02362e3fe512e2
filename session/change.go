package session

import (
	"context"
	"sync/atomic"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/wire"
)

// change submits the durable change of the command. The answer comes with the
// commit, later than Handle returns; when too many are in flight, Handle waits for
// one of them and so stops reading from the client.
func (s *Session) change(ctx context.Context, cmd *wire.Command) {
	c, err := s.changeOf(cmd)
	if err != nil {
		s.fail(cmd, err)
		return
	}
	if cmd.Bare {
		if err := s.joinToSend(ctx, cmd.Room); err != nil {
			s.fail(cmd, err)
			return
		}
	}
	if s.inFlight == nil { // a client that only listens needs none
		s.inFlight = make(chan struct{}, s.deps.Limits.InFlight)
	}
	select {
	case s.inFlight <- struct{}{}:
	case <-ctx.Done():
		return
	}
	var answered atomic.Bool // by either: more may be in flight then
	if send, ok := c.(*change.Send); ok {
		send.Accepted = s.whenAccepted(cmd, &answered)
	}
	s.deps.Engine.Submit(s.actor, c, s.whenDone(cmd, &answered))
}

// whenAccepted tells the client that its message is in the durable queue. It may run
// beside or behind whenDone.
func (s *Session) whenAccepted(cmd *wire.Command, answered *atomic.Bool) func(change.Queued) {
	id, hasID, key := cmd.ID, cmd.HasID, cmd.Key
	return func(change.Queued) {
		if answered.Swap(true) {
			return
		}
		<-s.inFlight
		if frame := s.codec.Accepted(nil, id, hasID, key); len(frame) > 0 {
			s.conn.SendLater(frame)
		}
	}
}

// changeOf is what the client's command says, without what the engine fills in.
// Errors: Invalid.
func (s *Session) changeOf(cmd *wire.Command) (change.Change, error) {
	switch cmd.Type {
	case wire.Edit:
		return &change.Edit{Room: cmd.Room, Seq: cmd.Seq, Text: cmd.Text, Data: cmd.Data}, nil
	case wire.Delete:
		return &change.Delete{Room: cmd.Room, Seq: cmd.Seq}, nil
	case wire.React:
		return &change.React{Room: cmd.Room, Seq: cmd.Seq, Emoji: cmd.Emoji, On: cmd.On == nil || *cmd.On}, nil
	case wire.SetRoom:
		return &change.SetRoom{
			Room: cmd.Room, Title: cmd.Title, Open: cmd.Open, ReadOnly: cmd.ReadOnly,
			Topic: cmd.Topic, Avatar: cmd.Avatar, Data: chat.About(cmd.Data),
		}, nil
	case wire.SetMember:
		if !cmd.HasRole {
			return nil, chat.E(chat.Invalid, "role is missing")
		}
		return &change.SetMember{
			Room: cmd.Room, User: cmd.Member, Role: cmd.Role, Until: cmd.Until, Unban: cmd.Unban, Data: chat.About(cmd.Data),
		}, nil
	}
	if cmd.Alone {
		if len(s.rooms) != 1 {
			return nil, chat.E(chat.Invalid, "say in which room: a text alone is for a connection in one room")
		}
		cmd.Room = s.rooms[0]
	}
	return &change.Send{Room: cmd.Room, Draft: chat.Draft{Text: cmd.Text, Key: cmd.Key, ReplyTo: cmd.ReplyTo, Data: cmd.Data,
		Mentions: cmd.Mentions}}, nil
}

// replyTo is the ack of a change.
func replyTo(typ wire.Type, room chat.RoomID, r *change.Reply) wire.Reply {
	switch typ {
	case wire.SetRoom:
		about := r.Room // not &r.Room: r would be on the heap for every message
		return &wire.RoomReply{Room: &about}
	case wire.SetMember:
		about := r.Member
		return &wire.MemberReply{Member: &about}
	}
	return engine.ChangeReply(room, r)
}

// whenDone answers the command. It runs in a lane, before the lane publishes
// what it committed: the ack only queues here and leaves in the same write as
// the sender's own copy of the event.
func (s *Session) whenDone(cmd *wire.Command, answered *atomic.Bool) change.Done {
	id, hasID, typ, room := cmd.ID, cmd.HasID, cmd.Type, cmd.Room
	return func(r change.Reply, err error) {
		if !answered.Swap(true) {
			<-s.inFlight
		}
		if err != nil {
			s.fail(&wire.Command{Type: typ, ID: id, HasID: hasID, Room: room}, err)
		} else if hasID {
			s.conn.SendLater(s.ack(id, replyTo(typ, room, &r)))
		}
	}
}

// joinToSend joins the room of a client that sends without having joined.
func (s *Session) joinToSend(ctx context.Context, room chat.RoomID) error {
	if _, in := s.find(room); in {
		return nil
	}
	return s.enter(ctx, room, engine.JoinOptions{Limit: 1}, func(*wire.JoinReply) []byte { return nil })
}
