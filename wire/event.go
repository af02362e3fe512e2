package wire

import "github.com/roomtide/roomtide/chat"

// AppendEvent appends an event as one object; of a kind that is not in the table
// of chat it appends nothing. Data of a message is copied as it is: it was checked
// when the command came in.
func AppendEvent(dst []byte, ev *chat.Event) []byte {
	p := ev.Kind.Payload()
	if p == 0 {
		return dst
	}
	dst = append(append(append(dst, `{"type":"`...), ev.Kind.String()...), '"') // names need no escaping
	dst = appendStringField(dst, "room", ev.Room)
	return append(payloads[p].append(dst, ev), '}')
}

// AppendGap appends a gap: the client missed events after rev and has to join the
// room again with after = the rev it has, whatever the reason.
func AppendGap(dst []byte, room chat.RoomID, rev chat.Rev, reason chat.GapReason) []byte {
	dst = appendStringField(append(dst, `{"type":"gap"`...), "room", room)
	dst = appendIntField(dst, "rev", rev)
	return append(appendStringField(dst, "reason", reason.String()), '}')
}

var retryWords = [...]string{chat.RetryNow: "now", chat.RetryLater: "later", chat.RetryNever: "never"}

// AppendGoodbye appends the frame that precedes the end of a connection.
func AppendGoodbye(dst []byte, g chat.Goodbye) []byte {
	dst = appendIntField(append(dst, `{"type":"goodbye"`...), "code", g.Code)
	dst = appendStringField(dst, "reason", g.Reason)
	dst = appendStringField(dst, "message", g.Text)
	dst = appendStringField(dst, "retry", retryWords[g.Retry()])
	return append(appendOptInt(dst, "retry_after", g.Wait), '}')
}

// appendMessage appends a message as it stands in arrays, without type and room.
func appendMessage(dst []byte, m *chat.Message) []byte {
	start := len(dst)
	return openObject(appendMessageFields(dst, m, m.Key), start)
}

func appendMessageFields(dst []byte, m *chat.Message, key string) []byte {
	dst = appendIntField(dst, "seq", m.Seq)
	dst = appendIntField(dst, "rev", m.Rev)
	dst = appendStringField(dst, "user", m.User)
	dst = appendOptString(dst, "name", m.Name)
	dst = appendStringField(dst, "message", m.Text)
	dst = appendTimeField(dst, "time", m.Time)
	dst = appendOptString(dst, "key", key)
	dst = appendOptInt(dst, "reply_to", m.ReplyTo)
	if len(m.Mentions) > 0 {
		dst = appendStrings(appendName(dst, "mentions"), m.Mentions)
	}
	if len(m.Data) > 0 {
		dst = append(appendName(dst, "data"), m.Data...)
	}
	if m.Edited != 0 {
		dst = appendTimeField(dst, "edited", m.Edited)
	}
	if m.Deleted {
		dst = appendBoolField(dst, "deleted", true)
	}
	if len(m.Reactions) > 0 {
		dst = appendArray(appendName(dst, "reactions"), m.Reactions, appendReaction)
	}
	return dst
}

func appendReaction(dst []byte, r *chat.Reaction) []byte {
	dst = appendString(append(dst, `{"emoji":`...), r.Emoji)
	dst = appendIntField(dst, "count", r.Count)
	dst = appendStrings(appendName(dst, "users"), r.Users)
	return append(dst, '}')
}

// appendMember appends a member as it stands in arrays.
func appendMember(dst []byte, m *chat.Member) []byte {
	start := len(dst)
	dst = appendMemberFields(dst, m)
	return openObject(appendIntField(dst, "rev", m.Rev), start)
}

func appendMemberFields(dst []byte, m *chat.Member) []byte {
	return appendRole(appendStringField(dst, "user", m.User), m)
}

// appendRole appends a membership without the user's id.
func appendRole(dst []byte, m *chat.Member) []byte {
	dst = appendOptString(dst, "name", m.Name)
	dst = appendOptString(dst, "avatar", m.Avatar)
	dst = appendStringField(dst, "role", m.Role.String())
	if m.Until != 0 && m.Role.Ends() {
		dst = appendTimeField(dst, "until", m.Until)
	}
	return appendOptJSON(dst, "data", m.Data)
}
