package lane

import (
	"cmp"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

func (b *batch) needSetMember(c *change.SetMember) {
	b.needRoom(c.Room)
	b.needMember(c.Room, c.By)
	b.needMember(c.Room, c.User)
}

func (b *batch) applySetMember(c *change.SetMember) (change.Reply, error) {
	r, by, err := b.roomBy(c.Room, c.By, c.Server)
	if err != nil {
		return change.Reply{}, err
	}
	m := b.member(c.Room, c.User)
	if !c.Server {
		if err := chat.CanSetRole(by, m.Role, c.Role); err != nil {
			return change.Reply{}, err
		}
	}
	banned := m.Role == chat.RoleBanned && c.Role == chat.RoleNone && !c.Unban
	n := setMember(m, c).At(b.now) // it may have waited beyond Until
	if banned || n == m {
		return change.Reply{Rev: r.Rev, Member: m}, nil
	}
	if m.Rev == 0 { // there is no row yet
		if err := chat.CheckID("user", string(c.User), b.limits.IDBytes); err != nil {
			return change.Reply{}, err
		}
	}
	switch was, is := m.Role.Present(), n.Role.Present(); {
	case !was && is:
		r.Members++
		n.Since = b.now
	case was && !is:
		r.Members--
	}
	if c.History {
		n.Rev = b.bumpPast(r, chat.EventMember, 0)
		b.setMember(n)
	} else {
		b.changeMember(r, n)
	}
	return change.Reply{Rev: r.Rev, Room: r.Room, Member: b.member(c.Room, c.User), Changed: true}, nil
}

// setMember is the row with what the change sets.
func setMember(m chat.Member, c *change.SetMember) chat.Member {
	if !m.Role.Present() && c.Role != chat.RoleNone {
		m.Name, m.Avatar = cmp.Or(c.Known, m.Name), c.Avatar
	}
	m.Role, m.Until = c.Role, c.Until
	if c.Name != nil {
		m.Name = cmp.Or(*c.Name, c.Known)
	}
	set(&m.Data, c.Data)
	return m
}
