package lane

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

func (b *batch) needLeave(c *change.Leave) {
	b.needRoom(c.Room)
	b.needMember(c.Room, c.User)
}

func (b *batch) applyLeave(c *change.Leave) (change.Reply, error) {
	r, err := b.room(c.Room)
	if err != nil {
		return change.Reply{}, err
	}
	m := b.member(c.Room, c.User)
	if !m.Role.Present() {
		return change.Reply{Rev: r.Rev}, nil
	}
	m.Role = chat.RoleNone
	r.Members--
	b.changeMember(r, m)
	return change.Reply{Rev: r.Rev, Changed: true}, nil
}
