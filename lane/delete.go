package lane

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

func (b *batch) needDelete(c *change.Delete) {
	b.needMessageBy(c.Room, c.Seq, c.User)
	b.needReactions(c.Room, c.Seq)
}

func (b *batch) applyDelete(c *change.Delete) (change.Reply, error) {
	r, m, role, err := b.messageBy(c.Room, c.Seq, c.User, c.Server)
	if err != nil {
		return change.Reply{}, err
	}
	if !c.Server {
		if err := chat.CanDelete(m, c.User, role); err != nil {
			return change.Reply{}, err
		}
	}
	if m.Deleted {
		return change.Reply{Seq: m.Seq, Rev: m.Rev}, nil
	}
	n := *m
	n.Text, n.Data, n.Reactions, n.Deleted = "", nil, nil, true
	n.Rev = b.bump(r, &chat.Event{Kind: chat.EventDeleted, Message: &n})
	b.update(&n)
	for key := range b.standing(c.Room, c.Seq) {
		b.setReaction(key, false)
	}
	return change.Reply{Seq: n.Seq, Rev: n.Rev, Time: b.now, Changed: true}, nil
}
