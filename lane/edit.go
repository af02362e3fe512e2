package lane

import "github.com/roomtide/roomtide/chat"

// Edit replaces a message's text and data. Replies Seq, Rev. Errors: NotFound
// (also for a deleted message), NotMember, Forbidden.
type Edit struct {
	Room   chat.RoomID
	Seq    chat.Seq
	User   chat.UserID
	Server bool
	Text   string
	Data   []byte // nil: stays
}

func (o *Edit) Slot() chat.Slot { return o.Room.Slot() }

func (o *Edit) size() int { return 256 + len(o.Text) + len(o.Data) }

func (o *Edit) need(b *batch) { needMessageBy(b, o.Room, o.Seq, o.User) }

func (o *Edit) apply(b *batch) (Reply, error) {
	r, m, role, err := messageBy(b, o.Room, o.Seq, o.User)
	if err != nil {
		return Reply{}, err
	}
	switch {
	case o.Server && m.Deleted:
		err = chat.E(chat.NotFound, "this message was deleted")
	case !o.Server:
		err = chat.CanEdit(m, o.User, role)
	}
	if err != nil {
		return Reply{}, err
	}
	n := *m
	n.Text, n.Edited, n.Reactions = o.Text, b.now, nil
	if o.Data != nil {
		n.Data = o.Data
	}
	n.Rev = b.bump(r, &chat.Event{Kind: chat.EventEdited, Message: &n})
	b.update(&n)
	return Reply{Seq: n.Seq, Rev: n.Rev, Time: b.now, Changed: true}, nil
}

// Delete makes a message a tombstone: its number and sender stay, its text, data
// and reactions do not. Deleting it again changes nothing. Replies Seq, Rev. Errors:
// NotFound, NotMember, Forbidden.
type Delete struct {
	Room   chat.RoomID
	Seq    chat.Seq
	User   chat.UserID
	Server bool
}

func (o *Delete) Slot() chat.Slot { return o.Room.Slot() }

func (o *Delete) size() int { return 256 }

func (o *Delete) need(b *batch) {
	needMessageBy(b, o.Room, o.Seq, o.User)
	b.needReactions(o.Room, o.Seq)
}

func (o *Delete) apply(b *batch) (Reply, error) {
	r, m, role, err := messageBy(b, o.Room, o.Seq, o.User)
	if err != nil {
		return Reply{}, err
	}
	if !o.Server {
		if err := chat.CanDelete(m, o.User, role); err != nil {
			return Reply{}, err
		}
	}
	if m.Deleted {
		return Reply{Seq: m.Seq, Rev: m.Rev}, nil
	}
	n := *m
	n.Text, n.Data, n.Reactions, n.Deleted = "", nil, nil, true
	n.Rev = b.bump(r, &chat.Event{Kind: chat.EventDeleted, Message: &n})
	b.update(&n)
	for key := range b.standing(o.Room, o.Seq) {
		b.setReaction(key, false)
	}
	return Reply{Seq: n.Seq, Rev: n.Rev, Time: b.now, Changed: true}, nil
}

// needMessageBy and messageBy fetch what every change of one message needs.
func needMessageBy(b *batch, id chat.RoomID, seq chat.Seq, user chat.UserID) {
	b.needRoom(id)
	b.needMember(id, user)
	b.needMessage(id, seq)
}

func messageBy(b *batch, id chat.RoomID, seq chat.Seq, user chat.UserID) (*room, *chat.Message, chat.Role, error) {
	r, err := b.room(id)
	if err != nil {
		return nil, nil, 0, err
	}
	m, err := b.message(id, seq)
	if err != nil {
		return nil, nil, 0, err
	}
	return r, m, b.member(id, user).Role, nil
}
