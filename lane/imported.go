package lane

import (
	"bytes"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func (b *batch) needImport(c *change.Import) {
	b.needRoom(c.Room)
	for i := range c.Messages {
		switch m := &c.Messages[i]; {
		case m.Seq != 0:
			b.needMessage(c.Room, m.Seq)
		case m.Key != "" && b.askKeys:
			b.needKey(c.Room, m.User, m.Key)
		}
	}
}

func (b *batch) applyImport(c *change.Import) (change.Reply, error) {
	r, created := b.rooms[c.Room], false
	if !r.exists {
		if c.Create == nil {
			return change.Reply{}, chat.E(chat.NotFound, "there is no such room")
		}
		if err := r.create(b, c.Create); err != nil {
			return change.Reply{}, err
		}
		created = true
	}
	reply := change.Reply{Created: created, Changed: created, Imported: make([]change.ImportReply, len(c.Messages))}
	for i := range c.Messages {
		m := &c.Messages[i]
		replyTo := m.ReplyTo
		if m.ReplyIn > 0 && m.ReplyIn <= i {
			replyTo = reply.Imported[m.ReplyIn-1].Seq
		}
		reply.Imported[i] = b.importOne(r, m, replyTo, c.History)
		reply.Changed = reply.Changed || reply.Imported[i].Changed
	}
	reply.Rev = r.Rev
	return reply, nil
}

// importOne makes the message what the other system says it is.
func (b *batch) importOne(r *room, in *change.Imported, replyTo chat.Seq, history bool) change.ImportReply {
	m, found := b.imported(r.ID, in)
	switch {
	case found:
		return b.importAgain(r, m, in, history)
	case in.Seq != 0:
		return change.ImportReply{}
	}
	r.LastSeq++
	n := &chat.Message{
		Room: r.ID, Seq: r.LastSeq, User: in.User, Name: in.Name, Time: in.Time, Text: in.Text, Data: in.Data,
		Key: in.Key, Edited: in.Edited, Deleted: in.Deleted,
	}
	if n.Time == 0 {
		n.Time = b.now
	}
	if replyTo < n.Seq {
		n.ReplyTo = replyTo
	}
	draft := chat.Draft{Text: in.Text, Data: in.Data, ReplyTo: n.ReplyTo}
	n.Digest = draft.Digest()
	r.seen(n.Time)
	kind := chat.EventMessage
	if n.Deleted {
		n.Text, n.Data, kind = "", nil, chat.EventDeleted
	}
	n.Rev = b.tell(r, kind, n, history)
	n.Created = n.Rev
	b.insert(n)
	return change.ImportReply{Seq: n.Seq, Rev: n.Rev, Created: true, Changed: true}
}

// seen moves the times of a room apart, so that they hold that of an imported message.
func (r *room) seen(at int64) {
	if r.LastSeq == 1 { // the room began with it
		r.Created, r.Active = min(r.Created, at), at
	}
	r.Active = max(r.Active, at)
}

// imported returns the message that in is about.
func (b *batch) imported(id chat.RoomID, in *change.Imported) (*chat.Message, bool) {
	if in.Seq == 0 {
		if in.Key == "" {
			return nil, false
		}
		return b.byKey(store.MessageKey{Room: id, User: in.User, Key: in.Key})
	}
	m, err := b.message(id, in.Seq)
	return m, err == nil
}

// importAgain is importOne for a message that is there. A tombstone can become a message
// again: in the other system its row has been restored.
func (b *batch) importAgain(r *room, m *chat.Message, in *change.Imported, history bool) change.ImportReply {
	if in.Deleted && m.Deleted || in.Deleted == m.Deleted && in.Text == m.Text && bytes.Equal(in.Data, m.Data) {
		return change.ImportReply{Seq: m.Seq, Rev: m.Rev}
	}
	n := *m
	n.Reactions = nil
	kind := chat.EventEdited
	if in.Deleted {
		n.Text, n.Data, n.Deleted, kind = "", nil, true, chat.EventDeleted
		b.unreact = append(b.unreact, store.MessageRef{Room: n.Room, Seq: n.Seq})
	} else {
		n.Text, n.Data, n.Deleted, n.Edited = in.Text, in.Data, false, in.Edited
		if n.Edited == 0 {
			n.Edited = b.now
		}
	}
	n.Rev = b.tell(r, kind, &n, history)
	b.update(&n)
	return change.ImportReply{Seq: n.Seq, Rev: n.Rev, Changed: true}
}

// tell numbers a change of a message, and lists its event unless it is of the past.
func (b *batch) tell(r *room, kind chat.EventKind, m *chat.Message, history bool) chat.Rev {
	if history {
		return b.bumpPast(r, kind, m.Seq)
	}
	return b.bump(r, &chat.Event{Kind: kind, Message: m})
}
