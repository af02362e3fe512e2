package lane

import "github.com/roomtide/roomtide/change"

func (b *batch) needLeave(c *change.Leave) {
	b.needRoom(c.Room)
	b.needMember(c.Room, c.User)
}

func (b *batch) applyLeave(c *change.Leave) (change.Reply, error) {
	r, m := b.rooms[c.Room], b.member(c.Room, c.User)
	if !m.Role.Present() { // a room that does not exist looks the same
		return change.Reply{Rev: r.Rev}, nil
	}
	r.Members--
	b.changeMember(r, m.Gone())
	return change.Reply{Rev: r.Rev, Changed: true}, nil
}
