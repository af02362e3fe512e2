package engine

import (
	"context"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

// Read marks everything up to seq as read by the actor. Marks never go back. The
// user's own connections hear of a new mark, and in a small room all. Errors: Invalid, NotMember, RateLimited.
func (e *Engine) Read(ctx context.Context, a Actor, room chat.RoomID, seq chat.Seq) (*wire.ReadReply, error) {
	return within(ctx, e, func(ctx context.Context) (*wire.ReadReply, error) { return e.read(ctx, a, room, seq) })
}

func (e *Engine) read(ctx context.Context, a Actor, room chat.RoomID, seq chat.Seq) (*wire.ReadReply, error) {
	if err := e.checkSignal(&a); err != nil {
		return nil, err
	}
	look, _, err := e.look(ctx, &a, room)
	if err != nil {
		return nil, err
	}
	if seq < 0 {
		return nil, chat.E(chat.Invalid, "seq is not a message number")
	}
	r, err := look.Room(ctx)
	if err != nil {
		return nil, err
	}
	changed, err := e.cfg.Lanes.Do(ctx, &change.Read{User: a.User, Room: room, Seq: min(seq, r.LastSeq)})
	if err != nil {
		return nil, err
	}
	counted, err := e.countUnread(ctx, a.User, []mark{{room, changed.Read, r.LastSeq}}, false)
	if err != nil {
		return nil, err
	}
	reply := &wire.ReadReply{Room: room, Seq: changed.Read, Unread: counted[0]}
	if changed.Changed {
		e.publishRead(ctx, a.User, reply)
	}
	return reply, nil
}

// publishRead tells a small room of the mark, and a large one only the other
// connections of the user.
func (e *Engine) publishRead(ctx context.Context, user chat.UserID, r *wire.ReadReply) {
	online, err := e.cfg.Presence.Online(ctx, r.Room, 1)
	e.cfg.Publish(&chat.Event{
		Kind: chat.EventRead, Room: r.Room, User: user, Seq: r.Seq,
		Count: int(r.Unread.Count), More: r.Unread.More,
		Own: err != nil || online.Count > e.cfg.Limits.ReadEventRoom,
	})
}
