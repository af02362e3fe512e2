package wire

import "github.com/roomtide/roomtide/chat"

// AppendAck appends the frame that answers command id with r.
func AppendAck(dst []byte, id int64, hasID bool, r Reply) []byte {
	dst = append(dst, `{"type":"ack"`...)
	if hasID {
		dst = appendIntField(dst, "id", id)
	}
	return append(r.appendFields(dst), '}')
}

// AppendAccepted appends the frame that says that a message is in the durable queue: its
// command has the id, and the message the key. The answer of the command comes later.
func AppendAccepted(dst []byte, id int64, hasID bool, key string) []byte {
	dst = append(dst, `{"type":"accepted"`...)
	if hasID {
		dst = appendIntField(dst, "id", id)
	}
	return append(appendOptString(dst, "key", key), '}')
}

// AppendReply appends r alone, as HTTP sends it.
func AppendReply(dst []byte, r Reply) []byte {
	start := len(dst)
	return openObject(r.appendFields(dst), start)
}

// AppendError appends the frame that refuses a command, with the public part of e
// (chat.Public). Of the command it has the id, the type and the room, as far as they
// are known; nil is none.
func AppendError(dst []byte, cmd *Command, e *chat.Error) []byte {
	e = chat.Public(e)
	dst = append(dst, `{"type":"error"`...)
	if cmd != nil {
		if cmd.HasID {
			dst = appendIntField(dst, "id", cmd.ID)
		}
		if len(cmd.Type) <= maxEcho {
			dst = appendOptString(dst, "command", cmd.Type)
		}
		if len(cmd.Room) <= maxEcho {
			dst = appendOptString(dst, "room", cmd.Room)
		}
	}
	dst = appendStringField(dst, "code", e.Kind.Code())
	dst = appendStringField(dst, "message", e.Text)
	return append(appendOptInt(dst, "retry_after", e.RetryAfter), '}')
}

// maxEcho is the size up to which an error repeats what the command says.
const maxEcho = 256

func (r HelloReply) appendFields(dst []byte) []byte {
	dst = appendStringField(dst, "user", r.User)
	dst = appendOptString(dst, "name", r.Name)
	dst = appendOptString(dst, "avatar", r.Avatar)
	dst = appendBoolField(dst, "guest", r.Guest)
	dst = appendStringField(dst, "session", r.Session)
	dst = appendTimeField(dst, "time", r.Time)
	dst = appendLimits(appendName(dst, "limits"), r.Limits)
	dst = appendStrings(appendName(dst, "features"), Features)
	return appendOptString(dst, "webpush_key", r.WebPushKey)
}

func appendLimits(dst []byte, l *chat.Limits) []byte {
	start := len(dst)
	for _, f := range limitFields(l) {
		dst = appendIntField(dst, f.name, *f.n)
	}
	return openObject(dst, start)
}

type limitField struct {
	name string
	n    *int
}

// limitFields pairs each limit with its name on the wire.
func limitFields(l *chat.Limits) [17]limitField {
	return [...]limitField{
		{"id_bytes", &l.IDBytes}, {"name_bytes", &l.NameBytes},
		{"topic_bytes", &l.TopicBytes}, {"avatar_bytes", &l.AvatarBytes}, {"about_bytes", &l.AboutBytes},
		{"message_runes", &l.MessageRunes}, {"message_bytes", &l.MessageBytes},
		{"data_bytes", &l.DataBytes}, {"key_bytes", &l.KeyBytes},
		{"emoji_bytes", &l.EmojiBytes}, {"emojis", &l.Emojis},
		{"frame_bytes", &l.FrameBytes}, {"rooms_per_conn", &l.RoomsPerConn},
		{"page_messages", &l.PageMessages}, {"page_members", &l.PageMembers},
		{"in_flight", &l.InFlight}, {"read_event_room", &l.ReadEventRoom},
	}
}

func (r JoinReply) appendFields(dst []byte) []byte {
	dst = appendStringField(dst, "room", r.Room.ID)
	dst = appendIntField(dst, "rev", r.Rev)
	dst = appendIntField(dst, "seq", r.Seq)
	dst = appendStringField(dst, "role", r.Role.String())
	dst = appendInfo(dst, r.Room)
	dst = appendArray(appendName(dst, "messages"), r.Messages, appendMessage)
	dst = appendArray(appendName(dst, "members"), r.Members, appendMember)
	dst = appendIntField(dst, "member_count", r.Room.Members)
	dst = appendStrings(appendName(dst, "online"), r.Online)
	dst = appendOnlineCount(dst, r.Count, r.Degraded)
	dst = appendIntField(dst, "read", r.Read)
	dst = appendUnread(dst, r.Unread)
	dst = appendOptInt(dst, "unread_from", r.Unread.From)
	dst = appendBoolField(dst, "more", r.More)
	switch {
	case r.More && r.Partial:
		dst = appendBoolField(dst, "partial", true)
	case r.More:
		dst = appendBoolField(dst, "older", true)
	}
	if r.Newer {
		dst = appendBoolField(dst, "newer", true)
	}
	if r.Reset {
		dst = appendBoolField(dst, "reset", true)
	}
	return dst
}

func (r ChangeReply) appendFields(dst []byte) []byte {
	dst = appendStringField(dst, "room", r.Room)
	dst = appendOptInt(dst, "seq", r.Seq)
	dst = appendIntField(dst, "rev", r.Rev)
	if r.Time != 0 {
		dst = appendTimeField(dst, "time", r.Time)
	}
	return dst
}

func (r ReadReply) appendFields(dst []byte) []byte {
	dst = appendStringField(dst, "room", r.Room)
	dst = appendIntField(dst, "seq", r.Seq)
	return appendUnread(dst, r.Unread)
}

func appendUnread(dst []byte, u UnreadCount) []byte {
	dst = appendIntField(dst, "unread", u.Count)
	if u.More {
		dst = appendBoolField(dst, "unread_more", true)
	}
	return dst
}

func (r HistoryReply) appendFields(dst []byte) []byte {
	dst = appendStringField(dst, "room", r.Room)
	dst = appendArray(appendName(dst, "messages"), r.Messages, appendMessage)
	dst = appendBoolField(dst, "more", r.More)
	if r.Newer {
		dst = appendBoolField(dst, "newer", true)
	}
	return dst
}

func (r ChangesReply) appendFields(dst []byte) []byte {
	d := r.Delta
	dst = appendStringField(dst, "room", d.Room.ID)
	dst = appendIntField(dst, "rev", d.Rev)
	dst = appendIntField(dst, "seq", d.Room.LastSeq)
	dst = appendArray(appendName(dst, "messages"), d.Messages, appendMessage)
	dst = appendArray(appendName(dst, "members"), d.Members, appendMember)
	dst = appendBoolField(dst, "more", d.More)
	if d.Reset {
		dst = appendBoolField(dst, "reset", true)
	}
	if d.Info {
		dst = appendInfo(dst, &d.Room)
	}
	return dst
}

func (r MembersReply) appendFields(dst []byte) []byte {
	dst = appendStringField(dst, "room", r.Room)
	dst = appendArray(appendName(dst, "members"), r.Members, appendMember)
	dst = appendIntField(dst, "count", r.Count)
	return appendBoolField(dst, "more", r.More)
}

func (r OnlineReply) appendFields(dst []byte) []byte {
	dst = appendStringField(dst, "room", r.Room)
	dst = appendStrings(appendName(dst, "online"), r.Users)
	return appendOnlineCount(dst, r.Count, r.Degraded)
}

func appendOnlineCount(dst []byte, count int, degraded bool) []byte {
	dst = appendIntField(dst, "online_count", count)
	if degraded {
		dst = appendBoolField(dst, "degraded", true)
	}
	return dst
}

func (r RoomsReply) appendFields(dst []byte) []byte {
	return appendNext(appendArray(appendName(dst, "rooms"), r.Rooms, appendMyRoom), r.More, r.Next)
}

// appendNext appends the end of a page whose next one is asked for by a text.
func appendNext(dst []byte, more bool, next string) []byte {
	return appendOptString(appendBoolField(dst, "more", more), "next", next)
}

func (r RoomListReply) appendFields(dst []byte) []byte {
	dst = appendArray(appendName(dst, "rooms"), r.Rooms, func(dst []byte, r *chat.Room) []byte {
		return AppendReply(dst, RoomReply{Room: r})
	})
	return appendNext(dst, r.More, r.Next)
}

func (r UnreadReply) appendFields(dst []byte) []byte {
	dst = appendUnread(appendStringField(dst, "user", r.User), r.Unread)
	return appendArray(appendName(dst, "rooms"), r.Rooms, func(dst []byte, r *UnreadRoom) []byte {
		dst = appendString(append(dst, `{"room":`...), r.Room)
		dst = appendIntField(dst, "seq", r.Seq)
		dst = appendIntField(dst, "read", r.Read)
		return append(appendUnread(dst, r.Unread), '}')
	})
}

func (r RemovedReply) appendFields(dst []byte) []byte {
	return appendNext(appendIntField(dst, "deleted", r.Deleted), r.More, r.Next)
}

func appendMyRoom(dst []byte, m *MyRoom) []byte {
	dst = appendString(append(dst, `{"room":`...), m.Room.ID)
	dst = appendStringField(dst, "title", m.Room.Title)
	dst = appendOptString(dst, "topic", m.Room.Topic)
	dst = appendOptString(dst, "avatar", m.Room.Avatar)
	dst = appendOptJSON(dst, "data", m.Room.Data)
	dst = appendStringField(dst, "role", m.Role.String())
	dst = appendIntField(dst, "seq", m.Room.LastSeq)
	dst = appendIntField(dst, "rev", m.Room.Rev)
	dst = appendIntField(dst, "read", m.Read)
	dst = appendUnread(dst, m.Unread)
	if m.Room.Archived {
		dst = appendBoolField(dst, "archived", true)
	}
	if m.Last != nil {
		dst = appendMessage(appendName(dst, "last"), m.Last)
	}
	return append(dst, '}')
}

func (r UsersReply) appendFields(dst []byte) []byte {
	dst = appendArray(appendName(dst, "users"), r.Users, func(dst []byte, u *chat.User) []byte {
		start := len(dst)
		return openObject(UserReply{u}.appendFields(dst), start)
	})
	if r.More {
		dst = appendBoolField(dst, "more", true)
	}
	return dst
}

func (r UserReply) appendFields(dst []byte) []byte {
	dst = appendStringField(dst, "user", r.User.ID)
	dst = appendOptString(dst, "name", r.User.Name)
	dst = appendOptString(dst, "avatar", r.User.Avatar)
	return appendOptJSON(dst, "data", r.User.Data)
}

func (r RoomReply) appendFields(dst []byte) []byte {
	dst = appendStringField(dst, "room", r.Room.ID)
	dst = appendInfo(dst, r.Room)
	dst = appendIntField(dst, "seq", r.Room.LastSeq)
	dst = appendIntField(dst, "rev", r.Room.Rev)
	dst = appendIntField(dst, "member_count", r.Room.Members)
	dst = appendTimeField(dst, "created", r.Room.Created)
	return appendTimeField(dst, "active", r.Room.Active)
}

func (r MemberReply) appendFields(dst []byte) []byte {
	dst = appendStringField(dst, "room", r.Member.Room)
	dst = appendRole(appendStringField(dst, "member", r.Member.User), r.Member)
	return appendIntField(dst, "rev", r.Member.Rev)
}

func (r DoneReply) appendFields(dst []byte) []byte {
	return appendOptString(dst, "room", r.Room)
}
