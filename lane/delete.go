package lane

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func (b *batch) needDelete(c *change.Delete) {
	b.needMessageBy(c.Room, c.Seq, c.User)
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
	n.Text, n.Data, n.Mentions, n.Reactions, n.Deleted = "", nil, nil, nil, true
	n.Rev = b.bump(r, &chat.Event{Kind: chat.EventDeleted, Message: &n})
	b.update(&n)
	b.unreact = append(b.unreact, store.MessageRef{Room: c.Room, Seq: c.Seq})
	return change.Reply{Seq: n.Seq, Rev: n.Rev, Time: b.now, Changed: true}, nil
}
