package lane

import "github.com/roomtide/roomtide/change"

func (b *batch) needRename(c *change.Rename) {
	b.needRoom(c.Room)
	b.needMember(c.Room, c.User)
}

func (b *batch) applyRename(c *change.Rename) (change.Reply, error) {
	r := b.rooms[c.Room]
	m := b.member(c.Room, c.User)
	if !r.exists || !m.Role.Present() || m.Name == c.Name && m.Avatar == c.Avatar {
		return change.Reply{Rev: r.Rev}, nil
	}
	m.Name, m.Avatar = c.Name, c.Avatar
	b.changeOneOfMany(r, m)
	return change.Reply{Rev: r.Rev, Changed: true}, nil
}
