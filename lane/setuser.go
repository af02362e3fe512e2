package lane

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

func (b *batch) needSetUser(c *change.SetUser) { b.want.Users = append(b.want.Users, c.User) }

func (b *batch) applySetUser(c *change.SetUser) (change.Reply, error) {
	u := b.user(c.User)
	if c.ByToken && c.At < u.Named {
		return change.Reply{User: u}, nil
	}
	n := u
	set(&n.Name, c.Name)
	set(&n.Avatar, c.Avatar)
	set(&n.Data, c.Data)
	if n == u {
		return change.Reply{User: u}, nil
	}
	if n.Name != u.Name || n.Avatar != u.Avatar {
		n.Named = max(u.Named, c.At)
		b.renamed = append(b.renamed, c.User)
	}
	b.setUser(n)
	return change.Reply{User: n, Changed: true}, nil
}

// user returns what is known of the user as the changes before have left it.
func (b *batch) user(id chat.UserID) chat.User {
	if u := b.users[id]; u != nil {
		return *u
	}
	u := b.state.Users[id]
	u.ID = id
	return u
}

func (b *batch) setUser(u chat.User) {
	if b.users == nil {
		b.users = map[chat.UserID]*chat.User{}
	}
	b.users[u.ID] = &u
}
