package lane

import (
	"bytes"
	"slices"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

func (b *batch) needEdit(c *change.Edit) {
	b.needMessageBy(c.Room, c.Seq, c.User)
	d := chat.Draft{Text: c.Text}
	for _, id := range d.Mentioned() {
		b.needMember(c.Room, id)
	}
}

func (b *batch) applyEdit(c *change.Edit) (change.Reply, error) {
	r, m, role, err := b.messageBy(c.Room, c.Seq, c.User, c.Server)
	if err != nil {
		return change.Reply{}, err
	}
	switch {
	case c.Server && m.Deleted:
		err = chat.E(chat.NotFound, "this message was deleted")
	case !c.Server:
		if err = chat.CanEdit(&r.Room, m, c.User, role); err == nil {
			err = chat.CanWrite(&r.Room)
		}
	}
	if err != nil {
		return change.Reply{}, err
	}
	if c.Text == m.Text && (c.Data == nil || bytes.Equal(c.Data, m.Data)) {
		return change.Reply{Seq: m.Seq, Rev: m.Rev}, nil
	}
	n := *m
	n.Mentions = b.editedMentions(m, c.Text)
	n.Text, n.Edited, n.Reactions = c.Text, b.now, nil
	if c.Data != nil {
		n.Data = c.Data
	}
	n.Rev = b.bump(r, &chat.Event{Kind: chat.EventEdited, Message: &n})
	b.update(&n)
	return change.Reply{Seq: n.Seq, Rev: n.Rev, Time: b.now, Changed: true}, nil
}

// editedMentions are the members that a message mentions with another text: those whom its
// text did not name stay, as the sender has named them beside it.
func (b *batch) editedMentions(m *chat.Message, text string) []chat.UserID {
	if text == m.Text {
		return m.Mentions
	}
	was := chat.Draft{Text: m.Text}
	inText := was.Mentioned()
	now := chat.Draft{Text: text}
	for _, id := range m.Mentions {
		if !slices.Contains(inText, id) {
			now.Mentions = append(now.Mentions, id)
		}
	}
	var ids []chat.UserID
	for _, id := range now.Mentioned() {
		if slices.Contains(now.Mentions, id) || id != m.User && b.member(m.Room, id).Role.Present() {
			ids = append(ids, id)
		}
	}
	return ids
}

// needMessageBy adds what every change of one message depends on.
func (b *batch) needMessageBy(id chat.RoomID, seq chat.Seq, user chat.UserID) {
	b.needRoom(id)
	b.needMember(id, user)
	b.needMessage(id, seq)
}

// messageBy returns the room, the message and the role of the user who changes
// it, or NotFound; to a user who is not in the room, NotMember before anything else.
func (b *batch) messageBy(id chat.RoomID, seq chat.Seq, user chat.UserID, server bool) (*room, *chat.Message, chat.Role, error) {
	r, role, err := b.roomBy(id, user, server)
	if err != nil {
		return nil, nil, 0, err
	}
	m, err := b.message(id, seq)
	if err != nil {
		return nil, nil, 0, err
	}
	return r, m, role, nil
}
