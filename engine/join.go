package engine

import (
	"context"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/internal/limit"
	"github.com/roomtide/roomtide/internal/planted"
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
	Around
	Again bool // only as the member that the actor is already; else NotMember, or Forbidden with a ban
}

// Join makes the actor a member of the room, makes the room where that is
// allowed, and answers with the state of the room at reply.Rev: live events with
// a higher Rev complete it. Errors: Invalid, Forbidden, NotFound (the host), NotMember (with
// Again), RateLimited, Busy.
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
	slots := e.joins.of(room.Slot())
	role, err := e.admit(ctx, slots, &a, room, o.Again)
	if err != nil {
		return nil, err
	}
	defer slots.Release()
	reply := &wire.JoinReply{Role: role}
	if o.After != nil {
		err = e.since(ctx, room, *o.After, o.Limit, reply)
	} else if err = e.now(ctx, room, reply); err == nil && o.Around == (Around{}) {
		err = e.newest(ctx, o.Limit, reply)
	}
	if err != nil {
		return nil, err
	}
	if err := e.unreadIn(ctx, slots, a.User, reply); err != nil {
		return nil, err
	}
	if o.After == nil && o.Around != (Around{}) {
		if err := e.messagesAround(ctx, o, reply); err != nil {
			return nil, err
		}
	}
	a.hideKeys(reply.Messages)
	online, count, err := e.cfg.Presence.Online(ctx, room, joinPage)
	reply.Online, reply.Count = fitUsers(online, joinBytes), count
	e.charge(&a, size(reply))
	return reply, err
}

// admit waits for a slot of the room's shard and returns the actor's role, making the actor
// a member if need be. The lane is asked only when there is something to change,
// so that members come back even while writing does not work; and no slot is held
// during its commit. Without an error the slot is the caller's, to be released.
func (e *Engine) admit(ctx context.Context, slots *limit.Limiter, a *Actor, room chat.RoomID, again bool) (chat.Role, error) {
	if err := slots.Acquire(ctx); err != nil {
		return 0, err
	}
	m, err := e.cfg.Store.Room(room).Member(ctx, room, a.User)
	m = m.At(e.cfg.Now().UnixMilli())
	known := m.Role.Present() && (again || !a.ownName() || a.Name == m.Name) || a.Server && a.User == ""
	if err != nil && chat.KindOf(err) != chat.NotFound {
		slots.Release()
		return 0, err
	}
	if known {
		return m.Role, nil
	}
	slots.Release()
	if again && m.Role == chat.RoleBanned {
		return 0, chat.CanJoin(&chat.Room{}, m.Role, false)
	}
	if again {
		return 0, chat.E(chat.NotMember, "not a member of this room any more")
	}
	role, err := e.becomeMember(ctx, a, room)
	if err != nil {
		return 0, err
	}
	return role, slots.Acquire(ctx)
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
	if err := e.mayMake(ctx, a, room); err != nil {
		return 0, err
	}
	if e.cfg.UsersMakeRooms || a.Server || a.granted(room) && !a.granted(identity.AllRooms) {
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

// now fills the reply with the room and its first members.
func (e *Engine) now(ctx context.Context, id chat.RoomID, reply *wire.JoinReply) error {
	db := e.cfg.Store.Room(id)
	room, err := db.Room(ctx, id)
	if err != nil {
		return err
	}
	reply.Room, reply.Rev, reply.Seq = &room, room.Rev, room.LastSeq
	members, err := db.Members(ctx, id, chat.RoleNone, "", joinPage)
	reply.Members = fitMembers(members, joinBytes)
	return err
}

// newest fills in the newest messages of reply.Room.
func (e *Engine) newest(ctx context.Context, limit int, reply *wire.JoinReply) error {
	id := reply.Room.ID
	ms, more, err := e.cfg.Store.Room(id).Messages(ctx, id, store.Page{Limit: page(limit, 10, e.cfg.Limits.PageMessages), Bytes: pageBytes})
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
func (e *Engine) since(ctx context.Context, id chat.RoomID, rev chat.Rev, limit int, reply *wire.JoinReply) error {
	if planted.ResumeDoubled {
		rev = max(rev-1, 0)
	}
	db := e.cfg.Store.Room(id)
	room, err := db.Room(ctx, id)
	if err != nil {
		return err
	}
	if room.Rev == rev && rev > room.Floor { // most rooms, when many come back at once
		reply.Room, reply.Rev, reply.Seq = &room, room.Rev, room.LastSeq
		return nil
	}
	d, err := db.Delta(ctx, id, rev, page(limit, resumePage, resumePage), pageBytes)
	if err != nil {
		return err
	}
	if d.Reset {
		reply.Reset = true
		if err := e.now(ctx, id, reply); err != nil {
			return err
		}
		return e.newest(ctx, 0, reply)
	}
	reply.Room, reply.Rev, reply.Seq = &d.Room, d.Rev, d.Room.LastSeq
	reply.Messages, reply.Members, reply.More, reply.Partial = d.Messages, d.Members, d.More, d.More
	return nil
}
