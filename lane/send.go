package lane

import (
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Send writes a message. With a key that the user has used in the room before,
// it answers what the first attempt was answered (Repeated), or Conflict if
// the draft is another one. The draft has passed its Check.
//
// Replies Seq, Rev, Time. Errors: NotFound, NotMember, Forbidden, Conflict,
// Invalid (ReplyTo names no message).
type Send struct {
	Room   chat.RoomID
	User   chat.UserID
	Server bool // the host's back end: needs no membership
	Draft  chat.Draft
}

func (o *Send) Slot() chat.Slot { return o.Room.Slot() }

func (o *Send) size() int { return 256 + len(o.Draft.Text) + len(o.Draft.Data) }

func (o *Send) need(b *batch) {
	b.needRoom(o.Room)
	b.needMember(o.Room, o.User)
	if o.Draft.Key != "" {
		b.needKey(o.Room, o.User, o.Draft.Key)
	}
}

func (o *Send) apply(b *batch) (Reply, error) {
	r, err := b.room(o.Room)
	if err != nil {
		return Reply{}, err
	}
	var digest int64
	if o.Draft.Key != "" {
		digest = o.Draft.Digest()
		if m, ok := b.byKey(store.MessageKey{Room: o.Room, User: o.User, Key: o.Draft.Key}); ok {
			if m.Digest != digest {
				return Reply{}, chat.E(chat.Conflict, "this key was used for another message")
			}
			return Reply{Seq: m.Seq, Rev: m.Created, Time: m.Time, Repeated: true}, nil
		}
	}
	if !o.Server {
		if err := chat.CanPost(&r.Room, b.member(o.Room, o.User).Role); err != nil {
			return Reply{}, err
		}
	}
	if o.Draft.ReplyTo > r.LastSeq {
		return Reply{}, chat.E(chat.Invalid, "reply_to names no message of this room")
	}
	r.LastSeq++
	m := &chat.Message{
		Room: o.Room, Seq: r.LastSeq, User: o.User, Time: b.now,
		Text: o.Draft.Text, Data: o.Draft.Data, ReplyTo: o.Draft.ReplyTo,
		Key: o.Draft.Key, Digest: digest,
	}
	m.Rev = b.bump(r, &chat.Event{Kind: chat.EventMessage, Message: m})
	m.Created = m.Rev
	b.insert(m)
	return Reply{Seq: m.Seq, Rev: m.Rev, Time: m.Time, Changed: true}, nil
}
