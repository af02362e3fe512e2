package engine

import (
	"context"
	"slices"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

func (e *Engine) members(ctx context.Context, a *Actor, room chat.RoomID, role chat.Role, after chat.UserID, limit int) (*wire.MembersReply, error) {
	look, by, err := e.look(ctx, a, room)
	if err != nil {
		return nil, err
	}
	if role == chat.RoleBanned && !a.Server && !by.Role.Moderates() {
		return nil, chat.E(chat.Forbidden, "only moderators see which users are banned")
	}
	r, err := look.Room(ctx)
	if err != nil {
		return nil, err
	}
	limit = page(limit, joinPage, e.cfg.Limits.PageMembers)
	var ms []chat.Member
	if role == chat.RoleNone && after == "" {
		ms, err = look.Members(ctx, limit+1)
	} else {
		ms, err = e.cfg.Store.Room(room).Members(ctx, room, role, after, limit+1)
	}
	if err != nil {
		return nil, err
	}
	fit := fitMembers(ms[:min(limit, len(ms))], pageBytes)
	more := len(fit) < len(ms)
	ms = fit
	if role.Ends() {
		now := e.cfg.Now().UnixMilli()
		ms = slices.DeleteFunc(ms, func(m chat.Member) bool { return m.At(now).Role != role })
	}
	return &wire.MembersReply{Room: room, Members: ms, Count: r.Members, More: more}, nil
}

func (e *Engine) online(ctx context.Context, a *Actor, room chat.RoomID, limit int) (*wire.OnlineReply, error) {
	if err := e.checkRead(ctx, a, room); err != nil {
		return nil, err
	}
	now, err := e.cfg.Presence.Online(ctx, room, page(limit, joinPage, e.cfg.Limits.PageMembers))
	if err != nil {
		return nil, err
	}
	return &wire.OnlineReply{Room: room, Users: fitUsers(now.Users, pageBytes), Count: now.Count, Degraded: now.Degraded}, nil
}
