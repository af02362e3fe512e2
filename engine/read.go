package engine

import (
	"context"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

// Read marks everything up to seq as read by the actor. Marks never go back. In a
// small room the mark is published. Errors: Invalid, NotMember, RateLimited.
func (e *Engine) Read(ctx context.Context, a Actor, room chat.RoomID, seq chat.Seq) (*wire.ReadReply, error) {
	if _, err := e.checkSignal(ctx, &a, room); err != nil {
		return nil, err
	}
	if seq < 0 {
		return nil, chat.E(chat.Invalid, "seq is not a message number")
	}
	r, err := e.cfg.Store.Room(room).Room(ctx, room)
	if err != nil {
		return nil, err
	}
	changed, err := e.cfg.Lanes.Do(ctx, &change.Read{User: a.User, Room: room, Seq: min(seq, r.LastSeq)})
	if err != nil {
		return nil, err
	}
	mark := changed.Read
	if changed.Changed {
		e.publishRead(ctx, a.User, room, mark)
	}
	return &wire.ReadReply{Room: room, Seq: mark, Unread: int64(max(r.LastSeq-mark, 0))}, nil
}

func (e *Engine) publishRead(ctx context.Context, user chat.UserID, room chat.RoomID, mark chat.Seq) {
	_, online, err := e.cfg.Presence.Online(ctx, room, 1)
	if err != nil || online > e.cfg.Limits.ReadEventRoom {
		return
	}
	e.cfg.Publish(&chat.Event{Kind: chat.EventRead, Room: room, User: user, Seq: mark})
}
