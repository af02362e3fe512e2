package engine

import (
	"context"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/wire"
)

const (
	// resumePage is how many changes one reply to a resuming client holds.
	resumePage = 500
	// joinPage is how many members and online users the reply to a join holds.
	joinPage = 100
)

// JoinOptions say what the reply to a join holds.
type JoinOptions struct {
	After *chat.Rev // what changed since; nil: the newest messages
	Limit int       // how many of the newest messages; 0: 10
	Again bool      // only as the member that the actor is already; else NotMember
}

// Join makes the actor a member of the room, makes the room where that is
// allowed, and answers with the state of the room at reply.Rev: live events with
// a higher Rev complete it. Errors: Invalid, Forbidden, NotFound (the host), NotMember (with
// Again), RateLimited, Busy.
func (e *Engine) Join(ctx context.Context, a Actor, room chat.RoomID, o JoinOptions) (*wire.JoinReply, error) {
	if err := e.checkRoom(room); err != nil {
		return nil, err
	}
	if !a.Server {
		if err := e.rates.join.Take(a.User); err != nil {
			return nil, err
		}
	}
	role, err := e.admit(ctx, &a, room, o.Again)
	if err != nil {
		return nil, err
	}
	defer e.cfg.Joins.Release()
	reply := &wire.JoinReply{Role: role}
	if o.After == nil {
		err = e.newest(ctx, room, o.Limit, reply)
	} else {
		err = e.since(ctx, room, *o.After, o.Limit, reply)
	}
	if err != nil {
		return nil, err
	}
	a.hideKeys(reply.Messages)
	if reply.Unread, err = e.unread(ctx, a.User, reply); err != nil {
		return nil, err
	}
	reply.Online, reply.Count, err = e.cfg.Presence.Online(ctx, room, joinPage)
	return reply, err
}

// admit waits for a slot of Joins and returns the actor's role, making the actor
// a member if need be. The lane is asked only when there is something to change,
// so that members come back even while writing does not work; and no slot is held
// during its commit. Without an error the slot is the caller's, until
// Joins.Release.
func (e *Engine) admit(ctx context.Context, a *Actor, room chat.RoomID, again bool) (chat.Role, error) {
	if err := e.cfg.Joins.Acquire(ctx); err != nil {
		return 0, err
	}
	m, err := e.cfg.Store.Room(room).Member(ctx, room, a.User)
	m = m.At(e.cfg.Now().UnixMilli())
	known := m.Role.Present() && (again || !a.ownName() || a.Name == m.Name) || a.Server && a.User == ""
	if err != nil && chat.KindOf(err) != chat.NotFound {
		e.cfg.Joins.Release()
		return 0, err
	}
	if known {
		return m.Role, nil
	}
	e.cfg.Joins.Release()
	if again {
		return 0, chat.E(chat.NotMember, "not a member of this room any more")
	}
	role, err := e.becomeMember(ctx, a, room)
	if err != nil {
		return 0, err
	}
	return role, e.cfg.Joins.Acquire(ctx)
}

func (e *Engine) unread(ctx context.Context, user chat.UserID, reply *wire.JoinReply) (int64, error) {
	if user == "" {
		return 0, nil
	}
	u, err := e.cfg.Store.User(user).UserRoom(ctx, user, reply.Room.ID)
	if err != nil && chat.KindOf(err) != chat.NotFound {
		return 0, err
	}
	return int64(max(reply.Seq-u.Read, 0)), nil
}

// becomeMember joins by the lane and returns the actor's role.
func (e *Engine) becomeMember(ctx context.Context, a *Actor, room chat.RoomID) (chat.Role, error) {
	c := &change.Join{Room: room, User: a.User, Name: a.Name, Rename: a.ownName(), Granted: a.granted(room)}
	if !a.Guest {
		if u, known := e.profile(ctx, a.User); known {
			c.Avatar = u.avatar
			if !c.Rename {
				c.Name, c.Rename = u.name, true
			}
		}
	}
	if e.cfg.UsersMakeRooms || a.granted(room) {
		c.Create, c.Own = &change.RoomSpec{Open: e.cfg.UsersMakeRooms}, e.cfg.UsersMakeRooms
	}
	r, err := e.cfg.Lanes.Do(ctx, c)
	if err != nil {
		return 0, err
	}
	if r.Changed {
		e.project(ctx, &r)
		if !a.ownName() && !a.Guest {
			e.recheckNames(ctx, &r.Member, c.Name, c.Avatar)
		}
	}
	return r.Member.Role, nil
}

// project brings the user's side of a membership up to date at once, so that
// Rooms right after a join has the room. If it fails, the consumer of the outbox
// does the same a moment later.
func (e *Engine) project(ctx context.Context, r *change.Reply) {
	if _, err := e.cfg.Lanes.Do(ctx, &change.Project{Member: r.Member, Seq: r.Room.LastSeq}); err != nil {
		e.cfg.Log.Debug("the rooms of a user follow later", "err", err)
	}
}

// newest fills the reply with the room and its newest messages.
func (e *Engine) newest(ctx context.Context, id chat.RoomID, limit int, reply *wire.JoinReply) error {
	db := e.cfg.Store.Room(id)
	room, err := db.Room(ctx, id)
	if err != nil {
		return err
	}
	ms, more, err := db.Messages(ctx, id, store.Page{Limit: page(limit, 10, e.cfg.Limits.PageMessages)})
	if err != nil {
		return err
	}
	// Written after the room was read: these come as live events.
	for len(ms) > 0 && ms[len(ms)-1].Created > room.Rev {
		ms = ms[:len(ms)-1]
	}
	members, err := db.Members(ctx, id, chat.RoleNone, "", joinPage)
	if err != nil {
		return err
	}
	reply.Room, reply.Rev, reply.Seq = &room, room.Rev, room.LastSeq
	reply.Messages, reply.Members, reply.More = ms, members, more
	return nil
}

// since fills the reply with what changed after rev. A rev from beyond the room
// belongs to a history that is gone (a restored backup): the client starts anew.
func (e *Engine) since(ctx context.Context, id chat.RoomID, rev chat.Rev, limit int, reply *wire.JoinReply) error {
	db := e.cfg.Store.Room(id)
	room, err := db.Room(ctx, id)
	if err != nil {
		return err
	}
	if room.Rev == rev { // most rooms, when many come back at once
		reply.Room, reply.Rev, reply.Seq = &room, room.Rev, room.LastSeq
		return nil
	}
	d, err := db.Delta(ctx, id, rev, page(limit, resumePage, resumePage))
	if err != nil {
		return err
	}
	if d.Rev < rev {
		reply.Reset = true
		return e.newest(ctx, id, 0, reply)
	}
	reply.Room, reply.Rev, reply.Seq = &d.Room, d.Rev, d.Room.LastSeq
	reply.Messages, reply.Members, reply.More, reply.Partial = d.Messages, d.Members, d.More, d.More
	return nil
}
