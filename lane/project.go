package lane

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

func (b *batch) needProject(c *change.Project) {
	b.needUserRoom(c.Member.User, c.Member.Room)
	b.needReadJobs(c.Member.User, c.Member.Room)
}

func (b *batch) applyProject(c *change.Project) (change.Reply, error) {
	u := b.userRoom(c.Member.User, c.Member.Room)
	if c.Member.Rev <= u.Rev {
		return change.Reply{Read: u.Read}, nil
	}
	if u.Rev <= c.Floor {
		u.Role, u.Read = chat.RoleNone, 0
	}
	if !u.Role.Present() && c.Member.Role.Present() && c.Seq > u.Read {
		u.Read = c.Seq
	}
	if !c.Member.Role.Present() {
		u.Read = min(u.Read, c.Seq)
		b.readJobs(c.Member.User, c.Member.Room, c.Seq, true)
	}
	u.Role, u.Rev = c.Member.Role, c.Member.Rev
	b.setUserRoom(u)
	return change.Reply{Read: u.Read, Changed: true}, nil
}
