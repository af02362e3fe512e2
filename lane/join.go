package lane

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

func (b *batch) needJoin(c *change.Join) {
	b.needRoom(c.Room)
	b.needMember(c.Room, c.User)
}

func (b *batch) applyJoin(c *change.Join) (change.Reply, error) {
	r := b.rooms[c.Room]
	m := b.member(c.Room, c.User)
	role, created := chat.RoleMember, false
	if !r.exists {
		if c.Create == nil {
			return change.Reply{}, notFound(c.Granted)
		}
		if err := r.create(b, c.Create); err != nil {
			return change.Reply{}, err
		}
		created = true
		if c.Own {
			role = chat.RoleOwner
		}
	} else if err := chat.CanJoin(&r.Room, m.Role, c.Granted); err != nil {
		return change.Reply{}, err
	}
	if m.Role.Present() && (!c.Rename || c.Name == m.Name) {
		return change.Reply{Room: r.Room, Member: m}, nil
	}
	if !m.Role.Present() {
		m = m.Back(role)
		m.Since, m.Avatar = b.now, c.Avatar
		r.Members++
	}
	if c.Rename || c.Name != "" {
		m.Name = c.Name
	}
	b.changeOneOfMany(r, m)
	return change.Reply{Room: r.Room, Member: b.member(c.Room, c.User), Rev: r.Rev, Created: created, Changed: true}, nil
}

// notFound is the answer to a join of a room that does not exist. The host, and a
// user that the host admits to the room, may know that; for others it looks like a
// room that they are not admitted to.
func notFound(granted bool) error {
	if granted {
		return chat.E(chat.NotFound, "there is no such room")
	}
	return chat.NotInvited()
}

// namedJoins is how many members a room may have for each join or new name to be an
// event that names the member. In a larger room those of a batch are one event with
// the number of members: what a join costs must not grow with the square of a room.
const namedJoins = 200

// changeOneOfMany stores a changed member row; in a large room, the event has the
// number of members alone.
func (b *batch) changeOneOfMany(r *room, m chat.Member) {
	if r.Members <= namedJoins {
		b.changeMember(r, m)
		return
	}
	if n := len(r.events); n > 0 && r.events[n-1].Kind == chat.EventMembers {
		last := r.events[n-1]
		b.touch(r)
		r.Rev++
		last.Rev, last.Count = r.Rev, r.Members
		r.told.Add(chat.EventMember, 0)
	} else {
		ev := &chat.Event{Kind: chat.EventMembers, Count: r.Members}
		ev.First = b.bump(r, ev)
	}
	m.Rev = r.Rev
	b.setMember(m)
}

// create makes the room in the batch. One that had this id before and was deleted
// is gone by then, and only its revs go on.
func (r *room) create(b *batch, spec *change.RoomSpec) error {
	if err := chat.CheckID("room", string(r.ID), b.limits.IDBytes); err != nil {
		return err // a room of an earlier version may have had this id; none is made any more
	}
	if r.Removing() {
		return &chat.Error{Kind: chat.Busy, Text: "the room that had this name is being deleted", RetryAfter: 1000}
	}
	r.Room = chat.Room{
		ID: r.ID, Title: spec.Title, Open: spec.Open, ReadOnly: spec.ReadOnly, Archived: spec.Archived,
		Created: b.now, Active: b.now, Rev: r.Rev, Floor: r.Floor,
	}
	r.exists = true
	b.touch(r)
	return nil
}

// changeMember stores a changed member row; the event has the row.
func (b *batch) changeMember(r *room, m chat.Member) {
	ev := &chat.Event{Kind: chat.EventMember}
	m.Rev = b.bump(r, ev)
	b.setMember(m)
	ev.Member = &m
}
