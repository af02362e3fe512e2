package engine

import (
	"context"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/wire"
)

// Read marks everything up to seq as read by the actor. Marks never go back.
// Small rooms are told.
func (e *Engine) Read(ctx context.Context, a Actor, room chat.RoomID, seq chat.Seq) (*wire.ReadReply, error) {
	if err := e.signal(ctx, &a, room); err != nil {
		return nil, err
	}
	if seq < 0 {
		return nil, chat.E(chat.Invalid, "seq is not a message number")
	}
	r, err := e.cfg.Store.Room(room).Room(ctx, room)
	if err != nil {
		return nil, err
	}
	lr, err := e.cfg.Lanes.Do(ctx, &lane.Read{User: a.User, Room: room, Seq: min(seq, r.LastSeq)})
	if err != nil {
		return nil, err
	}
	mark := lr.UserRoom.Read
	if lr.Changed {
		e.tellRead(ctx, a.User, room, mark)
	}
	return &wire.ReadReply{Room: room, Seq: mark, Unread: int64(max(r.LastSeq-mark, 0))}, nil
}

func (e *Engine) tellRead(ctx context.Context, user chat.UserID, room chat.RoomID, mark chat.Seq) {
	_, online, err := e.cfg.Presence.Online(ctx, room, 1)
	if err != nil || online > e.cfg.Limits.ReadEventRoom {
		return
	}
	e.cfg.Publish(&chat.Event{Kind: chat.EventRead, Room: room, User: user, Seq: mark})
}

// Typing tells the room that the actor is writing, or stopped. It is not
// stored, and may get lost.
func (e *Engine) Typing(ctx context.Context, a Actor, room chat.RoomID, on bool) error {
	if err := e.signal(ctx, &a, room); err != nil {
		return err
	}
	e.cfg.Publish(&chat.Event{Kind: chat.EventTyping, Room: room, User: a.User, On: on})
	return nil
}

// signal is what typing and read marks start with.
func (e *Engine) signal(ctx context.Context, a *Actor, room chat.RoomID) error {
	if a.User == "" {
		return chat.E(chat.Invalid, "say for which user")
	}
	if !a.Server {
		if err := e.rates.signal.take(string(a.User), "too many signals"); err != nil {
			return err
		}
	}
	return e.checkRead(ctx, a, room)
}
