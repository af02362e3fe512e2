package lane

import (
	"cmp"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func (b *batch) needSend(c *change.Send) {
	b.needRoom(c.Room)
	b.needMember(c.Room, c.User)
	for _, id := range c.Draft.Mentioned() {
		b.needMember(c.Room, id)
	}
	if c.Draft.Key != "" && b.askKeys {
		b.needKey(c.Room, c.User, c.Draft.Key)
	}
}

func (b *batch) applySend(c *change.Send) (change.Reply, error) {
	r, role, err := b.roomBy(c.Room, c.User, c.Server)
	var digest int64
	if c.Draft.Key != "" { // also of a user who has left since: the message is there
		digest = c.Draft.Digest()
		if m, ok := b.byKey(store.MessageKey{Room: c.Room, User: c.User, Key: c.Draft.Key}); ok {
			if m.Digest != digest {
				return change.Reply{}, chat.E(chat.Conflict, "this key was used for another message")
			}
			return change.Reply{Seq: m.Seq, Rev: m.Created, Time: m.Time, Repeated: true}, nil
		}
	}
	if err == nil && !c.Server {
		err = chat.CanPost(&r.Room, role)
	}
	if err == nil && c.Draft.ReplyTo > r.LastSeq {
		err = chat.E(chat.Invalid, "reply_to names no message of this room")
	}
	if err != nil {
		b.keyMatters = b.keyMatters || c.Draft.Key != ""
		return change.Reply{}, err
	}
	author := b.member(c.Room, c.User)
	r.LastSeq++
	r.Active = b.now
	m := &chat.Message{
		Room: c.Room, Seq: r.LastSeq, User: c.User, Name: cmp.Or(c.Name, author.Name, c.Known), Time: b.now,
		Text: c.Draft.Text, Data: c.Draft.Data, ReplyTo: c.Draft.ReplyTo,
		Key: c.Draft.Key, Digest: digest, Mentions: b.mentions(c),
	}
	m.Rev = b.bump(r, &chat.Event{Kind: chat.EventMessage, Message: m})
	m.Created = m.Rev
	b.insert(m)
	return change.Reply{Seq: m.Seq, Rev: m.Rev, Time: m.Time, Changed: true}, nil
}

// mentions are the members that a new message mentions.
func (b *batch) mentions(c *change.Send) (ids []chat.UserID) {
	for _, id := range c.Draft.Mentioned() {
		if id != c.User && b.member(c.Room, id).Role.Present() {
			ids = append(ids, id)
		}
	}
	return ids
}
