package engine

import (
	"context"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/internal/limit"
	"github.com/roomtide/roomtide/internal/planted"
	"github.com/roomtide/roomtide/roomcache"
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
	Around
	Again bool // only as the member that the actor is already; else NotMember, or Forbidden with a ban
}

// Join makes the actor a member of the room, makes the room where that is
// allowed, and answers with the state of the room at reply.Rev: live events with
// a higher Rev complete it. The actor was a member when everything up to that rev had
// happened. Errors: Invalid, Forbidden, NotFound (the host), NotMember (with
// Again, or put out meanwhile), RateLimited, Busy.
func (e *Engine) Join(ctx context.Context, a Actor, room chat.RoomID, o JoinOptions) (*wire.JoinReply, error) {
	if err := e.checkRoom(room); err != nil {
		return nil, err
	}
	if err := e.rates.joins(&a); err != nil {
		return nil, err
	}
	if o.After != nil && o.Around != (Around{}) || o.Seq < 0 {
		return nil, chat.E(chat.Invalid, "give after or around; around is a message number or \"read\"")
	}
	return within(ctx, e, func(ctx context.Context) (*wire.JoinReply, error) { return e.join(ctx, a, room, o) })
}

// join is Join behind its checks.
func (e *Engine) join(ctx context.Context, a Actor, room chat.RoomID, o JoinOptions) (*wire.JoinReply, error) {
	limiter := e.joins.of(room.Slot())
	look, reply, err := e.admit(ctx, limiter, &a, room, o.Again)
	if err != nil {
		return nil, err
	}
	defer limiter.Release()
	if o.After != nil {
		err = e.since(ctx, look, a.User, *o.After, o.Limit, reply)
	} else if err = e.now(ctx, look, reply); err == nil && o.Around == (Around{}) {
		err = e.newest(ctx, look, o.Limit, reply)
	}
	if err != nil {
		return nil, err
	}
	if err := e.unreadIn(ctx, limiter, a.User, reply); err != nil {
		return nil, err
	}
	if o.After == nil && o.Around != (Around{}) {
		if err := e.messagesAround(ctx, o, reply); err != nil {
			return nil, err
		}
	}
	a.hideKeys(reply.Messages)
	online, err := e.cfg.Presence.Online(ctx, room, joinPage)
	reply.Online, reply.Count, reply.Degraded = fitUsers(online.Users, joinBytes), online.Count, online.Degraded
	e.charge(&a, size(reply))
	return reply, err
}

// admit waits for a permit of the room's shard and returns the room and the actor's role
// in it, and from where more of the room is to be read, making the actor a member if need be. The lane is asked only when there is
// something to change, so that members come back even while writing does not work; and
// no permit is held during its commit. Without an error the permit is the caller's, to be
// released.
func (e *Engine) admit(ctx context.Context, limiter *limit.Limiter, a *Actor, id chat.RoomID, again bool) (*roomcache.Look, *wire.JoinReply, error) {
	for ; ; again = true { // what was begun is not begun again
		if err := limiter.Acquire(ctx); err != nil {
			return nil, nil, err
		}
		look := e.cfg.Rooms.Look(ctx, id)
		reply, known, err := e.membership(ctx, look, a, again)
		if err == nil && known {
			return look, reply, nil
		}
		limiter.Release()
		switch {
		case err != nil:
			return nil, nil, err
		case again:
			return nil, nil, notAgain(reply.Role)
		}
		if err := e.becomeMember(ctx, a, id); err != nil {
			return nil, nil, err
		}
	}
}

// membership reads the room, and then the actor's role. In this order a membership
// that has ended by the room's rev is never taken for one that holds. known: there is
// nothing to change for a join.
func (e *Engine) membership(ctx context.Context, look *roomcache.Look, a *Actor, again bool) (reply *wire.JoinReply, known bool, err error) {
	room, none := look.Room(ctx)
	if none != nil && chat.KindOf(none) != chat.NotFound {
		return nil, false, none
	}
	m, err := look.Member(ctx, a.User)
	if err != nil && chat.KindOf(err) != chat.NotFound {
		return nil, false, err
	}
	m = m.At(e.cfg.Now().UnixMilli())
	known = m.Role.Present() && (again || !a.ownName() || a.Name == m.Name) || a.Server && a.User == ""
	if known && none != nil {
		return nil, false, none
	}
	return &wire.JoinReply{Room: &room, Rev: room.Rev, Seq: room.LastSeq, Role: m.Role}, known, nil
}

// notAgain is the refusal of a user whose membership has ended with the role.
func notAgain(role chat.Role) error {
	if role == chat.RoleBanned {
		return chat.CanJoin(&chat.Room{}, role, false)
	}
	return chat.E(chat.NotMember, "not a member of this room any more")
}

// becomeMember joins by the lane.
func (e *Engine) becomeMember(ctx context.Context, a *Actor, room chat.RoomID) error {
	c := &change.Join{Room: room, User: a.User, Name: a.Name, Rename: a.ownName(), Granted: a.granted(room)}
	if !a.Guest {
		if u, known := e.profile(ctx, a.User); known {
			c.Avatar = u.avatar
			if !c.Rename {
				c.Name, c.Rename = u.name, true
			}
		}
	}
	if err := e.mayMake(ctx, a, room); err != nil {
		return err
	}
	if e.cfg.UsersMakeRooms || a.Server || a.granted(room) && !a.granted(identity.AllRooms) {
		c.Create, c.Own = &change.RoomSpec{Open: e.cfg.UsersMakeRooms}, e.cfg.UsersMakeRooms
	}
	r, err := e.cfg.Lanes.Do(ctx, c)
	if err != nil {
		return err
	}
	if r.Changed {
		e.project(ctx, &r)
		if !a.ownName() && !a.Guest {
			e.recheckNames(ctx, &r.Member, c.Name, c.Avatar)
		}
	}
	return nil
}

// mayMake spends a token for a room that a guest is about to make.
func (e *Engine) mayMake(ctx context.Context, a *Actor, room chat.RoomID) error {
	if a.Network == nil || !e.cfg.UsersMakeRooms {
		return nil
	}
	_, err := e.cfg.Store.Room(room).Room(ctx, room)
	if chat.KindOf(err) == chat.NotFound {
		return byNetwork(e.rates.guestRoom, a)
	}
	return err
}

// project brings the user's side of a membership up to date at once, so that
// Rooms right after a join has the room. If it fails, the consumer of the outbox
// does the same a moment later.
func (e *Engine) project(ctx context.Context, r *change.Reply) {
	if _, err := e.cfg.Lanes.Do(ctx, &change.Project{Member: r.Member, Seq: r.Room.LastSeq, Floor: r.Room.Floor}); err != nil {
		e.cfg.Log.Debug("the rooms of a user follow later", "err", err)
	}
}

// now fills in the first members of reply.Room.
func (e *Engine) now(ctx context.Context, look *roomcache.Look, reply *wire.JoinReply) error {
	members, err := look.Members(ctx, joinPage)
	reply.Members = fitMembers(members, joinBytes)
	return err
}

// newest fills in the newest messages of reply.Room.
func (e *Engine) newest(ctx context.Context, look *roomcache.Look, limit int, reply *wire.JoinReply) error {
	ms, more, err := look.Newest(ctx, page(limit, 10, e.cfg.Limits.PageMessages), pageBytes)
	if err != nil {
		return err
	}
	reply.Messages, reply.More = until(ms, reply.Rev), more
	return nil
}

// until leaves out messages that were written after a rev: these come as live
// events.
func until(ms []chat.Message, rev chat.Rev) []chat.Message {
	for len(ms) > 0 && ms[len(ms)-1].Created > rev {
		ms = ms[:len(ms)-1]
	}
	return ms
}

// messagesAround fills in the messages around a place of reply.Room.
func (e *Engine) messagesAround(ctx context.Context, o JoinOptions, reply *wire.JoinReply) error {
	seq := o.Seq
	if o.Read {
		if seq = reply.Unread.From; seq == 0 {
			seq = reply.Seq + 1
		}
	}
	ms, older, newer, err := e.around(ctx, reply.Room.ID, seq, o.Limit)
	if err != nil {
		return err
	}
	reply.Messages, reply.More, reply.Newer = until(ms, reply.Rev), older, newer
	return nil
}

// since fills the reply with what changed after rev. A rev from beyond the room
// belongs to a history that is gone (a restored backup): the client starts anew.
func (e *Engine) since(ctx context.Context, look *roomcache.Look, user chat.UserID, rev chat.Rev, limit int, reply *wire.JoinReply) error {
	if planted.ResumeDoubled {
		rev = max(rev-1, 0)
	}
	if reply.Rev == rev && rev > reply.Room.Floor { // most rooms, when many come back at once
		return nil
	}
	id := reply.Room.ID
	d, err := e.cfg.Store.Room(id).Delta(ctx, id, rev, page(limit, resumePage, resumePage), pageBytes)
	if err != nil {
		return err
	}
	if d.Reset {
		reply.Reset = true
		if err := e.now(ctx, look, reply); err != nil {
			return err
		}
		return e.newest(ctx, look, 0, reply)
	}
	for i := range d.Members { // what changed is newer than the role
		if d.Members[i].User == user && !d.Members[i].Role.Present() {
			return notAgain(d.Members[i].Role)
		}
	}
	reply.Room, reply.Rev, reply.Seq = &d.Room, d.Rev, d.Room.LastSeq
	reply.Messages, reply.Members, reply.More, reply.Partial = d.Messages, d.Members, d.More, d.More
	return nil
}
