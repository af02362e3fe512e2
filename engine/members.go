package engine

import (
	"context"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

func (e *Engine) members(ctx context.Context, a *Actor, room chat.RoomID, after chat.UserID, limit int) (*wire.MembersReply, error) {
	if err := e.checkRead(ctx, a, room); err != nil {
		return nil, err
	}
	db := e.cfg.Store.Room(room)
	r, err := db.Room(ctx, room)
	if err != nil {
		return nil, err
	}
	limit = page(limit, joinPage, e.cfg.Limits.PageMembers)
	ms, err := db.Members(ctx, room, after, limit+1)
	if err != nil {
		return nil, err
	}
	fit := fitMembers(ms[:min(limit, len(ms))], pageBytes)
	return &wire.MembersReply{Room: room, Members: fit, Count: r.Members, More: len(fit) < len(ms)}, nil
}

func (e *Engine) online(ctx context.Context, a *Actor, room chat.RoomID, limit int) (*wire.OnlineReply, error) {
	if err := e.checkRead(ctx, a, room); err != nil {
		return nil, err
	}
	users, count, err := e.cfg.Presence.Online(ctx, room, page(limit, joinPage, e.cfg.Limits.PageMembers))
	if err != nil {
		return nil, err
	}
	return &wire.OnlineReply{Room: room, Users: fitUsers(users, pageBytes), Count: count}, nil
}
