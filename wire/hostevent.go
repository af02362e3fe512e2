package wire

import "github.com/roomtide/roomtide/chat"

// The Append functions below write what the events of a host (package hostevents) are
// about, each as an object of its own with the room, or the user, in it.

// AppendMessage appends a message, a tombstone too, with its author's key.
func AppendMessage(dst []byte, m *chat.Message) []byte {
	start := len(dst)
	dst = appendStringField(dst, "room", m.Room)
	return openObject(appendMessageFields(dst, m, m.Key), start)
}

// AppendReactions appends which reactions a message has.
func AppendReactions(dst []byte, m *chat.Message) []byte {
	start := len(dst)
	dst = appendStringField(dst, "room", m.Room)
	dst = appendIntField(dst, "seq", m.Seq)
	dst = appendIntField(dst, "rev", m.Rev)
	return openObject(appendArray(appendName(dst, "reactions"), m.Reactions, appendReaction), start)
}

// AppendMember appends a membership.
func AppendMember(dst []byte, m *chat.Member) []byte {
	start := len(dst)
	dst = appendStringField(dst, "room", m.Room)
	dst = appendMemberFields(dst, m)
	return openObject(appendIntField(dst, "rev", m.Rev), start)
}

// AppendRoom appends a room.
func AppendRoom(dst []byte, r *chat.Room) []byte {
	start := len(dst)
	dst = RoomReply{Room: r}.appendFields(dst)
	if r.Deleted {
		dst = appendBoolField(dst, "deleted", true)
	}
	return openObject(dst, start)
}

// AppendUser appends the user that an event is about.
func AppendUser(dst []byte, user chat.UserID) []byte {
	start := len(dst)
	return openObject(appendStringField(dst, "user", user), start)
}

// AppendDeadPush appends a notification that was given up.
func AppendDeadPush(dst []byte, p *chat.DeadPush) []byte {
	start := len(dst)
	dst = appendStringField(dst, "user", p.User)
	dst = appendOptString(dst, "room", p.Room)
	dst = appendOptInt(dst, "seq", p.Seq)
	dst = appendOptString(dst, "notice", p.Notice)
	dst = appendStringField(dst, "device", p.Device)
	dst = appendOptString(dst, "provider", p.Provider)
	dst = appendStringField(dst, "reason", p.Reason)
	return openObject(appendIntField(dst, "attempts", p.Attempts), start)
}

// AppendHead appends what every event of a host begins with, without its end: it is
// followed by a name and a value, and a brace.
func AppendHead(dst []byte, kind, id string, ms int64) []byte {
	dst = appendString(append(dst, `{"type":`...), kind)
	dst = appendOptString(dst, "id", id)
	return appendTimeField(dst, "timestamp", ms)
}
