package lane

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

func (b *batch) needSetMember(c *change.SetMember) {
	b.needRoom(c.Room)
	b.needMember(c.Room, c.By)
	b.needMember(c.Room, c.User)
}

func (b *batch) applySetMember(c *change.SetMember) (change.Reply, error) {
	r, err := b.room(c.Room)
	if err != nil {
		return change.Reply{}, err
	}
	m := b.member(c.Room, c.User)
	if !c.Server {
		by := b.member(c.Room, c.By).Role
		if err := chat.CanRead(by); err != nil {
			return change.Reply{}, err
		}
		if err := chat.CanSetRole(by, m.Role, c.Role); err != nil {
			return change.Reply{}, err
		}
	}
	if m.Role == c.Role && (c.Name == "" || c.Name == m.Name) {
		return change.Reply{Rev: r.Rev, Member: m}, nil
	}
	switch was, is := m.Role.Present(), c.Role.Present(); {
	case !was && is:
		r.Members++
		m.Since = b.now
	case was && !is:
		r.Members--
	}
	m.Role = c.Role
	if c.Name != "" {
		m.Name = c.Name
	}
	b.changeMember(r, m)
	return change.Reply{Rev: r.Rev, Room: r.Room, Member: b.member(c.Room, c.User), Changed: true}, nil
}
