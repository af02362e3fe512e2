package lane

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

func (b *batch) needAccess(c *change.Access) { b.want.Access = append(b.want.Access, c.User) }

func (b *batch) applyAccess(c *change.Access) (change.Reply, error) {
	was := b.accessOf(c.User)
	now := was
	now.NotBefore = max(was.NotBefore, c.NotBefore)
	now.Claimed = was.Claimed || c.Claim
	if now == was {
		return change.Reply{}, nil
	}
	if b.access == nil {
		b.access = map[chat.UserID]chat.Access{}
	}
	b.access[c.User] = now
	return change.Reply{Changed: true}, nil
}

func (b *batch) accessOf(user chat.UserID) chat.Access {
	if a, ok := b.access[user]; ok {
		return a
	}
	if a, ok := b.state.Access[user]; ok {
		return a
	}
	return chat.Access{User: user}
}
