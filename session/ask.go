package session

import (
	"context"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/wire"
)

// ask answers the commands that change nothing, or nothing but what is the user's alone. Handle
// waits for the answer.
func (s *Session) ask(ctx context.Context, cmd *wire.Command) (wire.Reply, error) {
	e, a := s.deps.Engine, s.actor
	switch cmd.Type {
	case wire.Ping:
		return reply(e.Ping(ctx, a))
	case wire.Read:
		return reply(e.Read(ctx, a, cmd.Room, cmd.Seq))
	case wire.Typing:
		err := e.Typing(ctx, a, cmd.Room, cmd.On == nil || *cmd.On)
		return &wire.DoneReply{Room: cmd.Room}, err
	case wire.Foreground:
		s.conn.SetForeground(cmd.On == nil || *cmd.On)
		return &wire.DoneReply{}, nil
	case wire.History:
		p := store.Page{Before: cmd.Before, Limit: cmd.Limit}
		if p.After = chat.Seq(cmd.After); cmd.HasAfter && p.After == 0 {
			p.After = store.FromStart
		}
		return reply(e.History(ctx, a, cmd.Room, p, engine.Around{Seq: cmd.Around, Read: cmd.AroundRead}))
	case wire.Changes:
		return reply(e.Changes(ctx, a, cmd.Room, chat.Rev(cmd.After), cmd.Limit))
	case wire.Members:
		return reply(e.Members(ctx, a, cmd.Room, cmd.Role, chat.UserID(cmd.AfterID), cmd.Limit))
	case wire.Online:
		return reply(e.Online(ctx, a, cmd.Room, cmd.Limit))
	case wire.Users:
		return reply(e.Users(ctx, a, cmd.Of))
	case wire.Rooms:
		return reply(e.Rooms(ctx, a, engine.RoomsOptions{
			After: cmd.AfterID, Limit: cmd.Limit, Order: cmd.Order, Archived: cmd.Archived,
		}))
	case wire.GetRoom:
		return reply(e.GetRoom(ctx, a, cmd.Room))
	case wire.Unread:
		return reply(e.Unread(ctx, a))
	}
	return s.askPush(ctx, cmd)
}

// askPush answers the commands about devices, and how the user is notified.
func (s *Session) askPush(ctx context.Context, cmd *wire.Command) (wire.Reply, error) {
	e, a, push := s.deps.Engine, s.actor, cmd.Push // the engine may keep it
	switch cmd.Type {
	case wire.RegisterDevice:
		return reply(e.RegisterDevice(ctx, a, a.User, &push))
	case wire.DropDevice:
		return reply(e.DropDevice(ctx, a, a.User, push.Device))
	case wire.Devices:
		return reply(e.Devices(ctx, a, a.User))
	case wire.GetPush:
		return reply(e.PushSettings(ctx, a, a.User, chat.RoomID(cmd.AfterID)))
	case wire.SetPush:
		return reply(e.SetPush(ctx, a, a.User, cmd.Room, &push))
	}
	return nil, chat.E(chat.UnknownType, "unknown type")
}

// reply keeps a nil *T from becoming a non-nil wire.Reply.
func reply[T wire.Reply](r T, err error) (wire.Reply, error) {
	if err != nil {
		return nil, err
	}
	return r, nil
}
