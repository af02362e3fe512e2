package lane

import "github.com/roomtide/roomtide/chat"

// Join makes the user a member, and makes the room if there is none and Create
// says how. Joining again changes nothing, except a new display name.
//
// Replies Room, Member, Created, Changed. Errors: NotFound, Forbidden.
type Join struct {
	Room    chat.RoomID
	User    chat.UserID
	Name    string
	Granted bool       // a token or the host vouches for the user
	Create  *chat.Room // how to make the room; nil: do not
	Own     bool       // who makes the room owns it
}

func (o *Join) Slot() chat.Slot { return o.Room.Slot() }

func (o *Join) size() int { return 256 + len(o.Name) }

func (o *Join) need(b *batch) {
	b.needRoom(o.Room)
	b.needMember(o.Room, o.User)
}

func (o *Join) apply(b *batch) (Reply, error) {
	r := b.rooms[o.Room]
	m := b.member(o.Room, o.User)
	role, created := chat.RoleMember, false
	if !r.exists {
		if o.Create == nil {
			return Reply{}, chat.E(chat.NotFound, "there is no such room")
		}
		r.create(b, *o.Create)
		created = true
		if o.Own {
			role = chat.RoleOwner
		}
	} else if err := chat.CanJoin(&r.Room, m.Role, o.Granted); err != nil {
		return Reply{}, err
	}
	if m.Role.Present() && (o.Name == "" || o.Name == m.Name) {
		return Reply{Room: r.Room, Member: m}, nil
	}
	if !m.Role.Present() {
		m.Role, m.Since = role, b.now
		r.Members++
	}
	if o.Name != "" {
		m.Name = o.Name
	}
	if r.Members > toldByName {
		b.joinLarge(r, m)
	} else {
		b.changeMember(r, m)
	}
	return Reply{Room: r.Room, Member: b.member(o.Room, o.User), Rev: r.Rev, Created: created, Changed: true}, nil
}

// toldByName is how many members a room may have for each join to be told to all
// of them. In a larger one the joins of a batch are one event that says how many
// members there are: what a join costs must not grow with the square of a room.
const toldByName = 200

// joinLarge stores a changed member row and tells the room the number.
func (b *batch) joinLarge(r *room, m chat.Member) {
	if n := len(r.events); n > 0 && r.events[n-1].Kind == chat.EventMembers {
		last := r.events[n-1]
		b.touch(r)
		r.Rev++
		last.Rev, last.Count = r.Rev, r.Members
	} else {
		ev := &chat.Event{Kind: chat.EventMembers, Count: r.Members}
		ev.First = b.bump(r, ev)
	}
	m.Rev = r.Rev
	b.setMember(m)
}

// create makes the room in the batch.
func (r *room) create(b *batch, like chat.Room) {
	r.Room = chat.Room{ID: r.ID, Title: like.Title, Open: like.Open, ReadOnly: like.ReadOnly, Created: b.now}
	r.exists = true
	b.touch(r)
}

// changeMember stores a changed member row and tells the room.
func (b *batch) changeMember(r *room, m chat.Member) {
	ev := &chat.Event{Kind: chat.EventMember}
	m.Rev = b.bump(r, ev)
	b.setMember(m)
	ev.Member = &m
}

// Leave ends a membership. Leaving when not a member changes nothing. Replies
// Rev, Changed. Errors: NotFound.
type Leave struct {
	Room chat.RoomID
	User chat.UserID
}

func (o *Leave) Slot() chat.Slot { return o.Room.Slot() }

func (o *Leave) size() int { return 256 }

func (o *Leave) need(b *batch) {
	b.needRoom(o.Room)
	b.needMember(o.Room, o.User)
}

func (o *Leave) apply(b *batch) (Reply, error) {
	r, err := b.room(o.Room)
	if err != nil {
		return Reply{}, err
	}
	m := b.member(o.Room, o.User)
	if !m.Role.Present() {
		return Reply{Rev: r.Rev}, nil
	}
	m.Role = chat.RoleNone
	r.Members--
	b.changeMember(r, m)
	return Reply{Rev: r.Rev, Changed: true}, nil
}

// SetMember puts a user into the room, changes their role, puts them out
// (RoleNone) or bans them. By is who does it; Server stands above all roles.
// Replies Rev, Member, Changed. Errors: NotFound, NotMember, Forbidden.
type SetMember struct {
	Room   chat.RoomID
	By     chat.UserID
	Server bool
	User   chat.UserID
	Name   string
	Role   chat.Role
}

func (o *SetMember) Slot() chat.Slot { return o.Room.Slot() }

func (o *SetMember) size() int { return 256 + len(o.Name) }

func (o *SetMember) need(b *batch) {
	b.needRoom(o.Room)
	b.needMember(o.Room, o.By)
	b.needMember(o.Room, o.User)
}

func (o *SetMember) apply(b *batch) (Reply, error) {
	r, err := b.room(o.Room)
	if err != nil {
		return Reply{}, err
	}
	m := b.member(o.Room, o.User)
	if !o.Server {
		by := b.member(o.Room, o.By).Role
		if err := chat.CanRead(by); err != nil {
			return Reply{}, err
		}
		if err := chat.CanSetRole(by, m.Role, o.Role); err != nil {
			return Reply{}, err
		}
	}
	if m.Role == o.Role && (o.Name == "" || o.Name == m.Name) {
		return Reply{Rev: r.Rev, Member: m}, nil
	}
	switch was, is := m.Role.Present(), o.Role.Present(); {
	case !was && is:
		r.Members++
		m.Since = b.now
	case was && !is:
		r.Members--
	}
	m.Role = o.Role
	if o.Name != "" {
		m.Name = o.Name
	}
	b.changeMember(r, m)
	return Reply{Rev: r.Rev, Room: r.Room, Member: b.member(o.Room, o.User), Changed: true}, nil
}
