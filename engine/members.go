package engine

import (
	"context"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/wire"
)

// Members returns the room's members in ascending user id after the given one.
func (e *Engine) Members(ctx context.Context, a Actor, room chat.RoomID, after chat.UserID, limit int) (*wire.MembersReply, error) {
	if err := e.checkRead(ctx, &a, room); err != nil {
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
	more := len(ms) > limit
	if more {
		ms = ms[:limit]
	}
	return &wire.MembersReply{Room: room, Members: ms, Count: r.Members, More: more}, nil
}

// Online returns who is online in the room.
func (e *Engine) Online(ctx context.Context, a Actor, room chat.RoomID, limit int) (*wire.OnlineReply, error) {
	if err := e.checkRead(ctx, &a, room); err != nil {
		return nil, err
	}
	users, count, err := e.cfg.Presence.Online(ctx, room, page(limit, joinPage, e.cfg.Limits.PageMembers))
	if err != nil {
		return nil, err
	}
	return &wire.OnlineReply{Room: room, Users: users, Count: count}, nil
}

// SetMember puts a user into the room, changes their role, puts them out
// (RoleNone) or bans them.
func (e *Engine) SetMember(ctx context.Context, a Actor, room chat.RoomID, user chat.UserID, name string, role chat.Role) error {
	if err := e.checkRoom(room); err != nil {
		return err
	}
	if err := chat.CheckID("user", string(user), e.cfg.Limits.IDBytes); err != nil {
		return err
	}
	if err := chat.CheckName("name", name, e.cfg.Limits.NameBytes); err != nil {
		return err
	}
	if err := e.rates.change(&a, room); err != nil {
		return err
	}
	r, err := e.cfg.Lanes.Do(ctx, &lane.SetMember{Room: room, By: a.User, Server: a.Server, User: user, Name: name, Role: role})
	if err == nil && r.Changed {
		e.project(ctx, r)
	}
	return err
}
