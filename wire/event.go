package wire

import (
	"github.com/roomtide/roomtide/chat"
)

// maxReactionUsers bounds the users named under one emoji; count tells them all.
const maxReactionUsers = 50

// AppendEvent appends what happened in a room as one object. Data of a message
// is copied as it is: it was checked when the command came in.
func AppendEvent(dst []byte, ev *chat.Event) []byte {
	switch ev.Kind {
	case chat.EventMessage:
		dst = appendMessageFields(appendHead(dst, "message", ev), ev.Message)
	case chat.EventEdited:
		dst = appendMessageFields(appendHead(dst, "edited", ev), ev.Message)
	case chat.EventDeleted:
		dst = appendIntField(appendHead(dst, "deleted", ev), "seq", ev.Message.Seq)
		dst = appendIntField(dst, "rev", ev.Rev)
		dst = appendStringField(dst, "user", ev.Message.User)
	case chat.EventReacted:
		dst = appendIntField(appendHead(dst, "reacted", ev), "seq", ev.Seq)
		dst = appendIntField(dst, "rev", ev.Rev)
		dst = appendStringField(dst, "user", ev.User)
		dst = appendStringField(dst, "emoji", ev.Emoji)
		dst = appendBoolField(dst, "on", ev.On)
	case chat.EventMember:
		dst = appendIntField(appendHead(dst, "member", ev), "rev", ev.Rev)
		dst = appendStringField(dst, "user", ev.Member.User)
		dst = appendOptString(dst, "name", ev.Member.Name)
		dst = appendStringField(dst, "role", ev.Member.Role.String())
	case chat.EventRoom:
		dst = appendIntField(appendHead(dst, "room", ev), "rev", ev.Rev)
		dst = appendInfo(dst, ev.Info)
	case chat.EventPresence:
		dst = appendPresence(appendHead(dst, "presence", ev), ev.Presence)
	case chat.EventTyping:
		dst = appendStringField(appendHead(dst, "typing", ev), "user", ev.User)
		dst = appendBoolField(dst, "on", ev.On)
	case chat.EventRead:
		dst = appendStringField(appendHead(dst, "read", ev), "user", ev.User)
		dst = appendIntField(dst, "seq", ev.Seq)
	case chat.EventMembers:
		dst = appendIntField(appendHead(dst, "members", ev), "since", ev.After())
		dst = appendIntField(dst, "rev", ev.Rev)
		dst = appendIntField(dst, "member_count", ev.Count)
	default:
		return dst // a kind this version does not know is not told
	}
	return append(dst, '}')
}

// AppendGap appends: something after rev was missed, for this reason; join again
// with after = the rev that the client has.
func AppendGap(dst []byte, room chat.RoomID, rev chat.Rev, reason chat.GapReason) []byte {
	dst = appendStringField(append(dst, `{"type":"gap"`...), "room", room)
	dst = appendIntField(dst, "rev", rev)
	return append(appendStringField(dst, "reason", reason.String()), '}')
}

var retryWords = [...]string{chat.RetryNow: "now", chat.RetryLater: "later", chat.RetryNever: "never"}

// AppendGoodbye appends why the server ends the connection.
func AppendGoodbye(dst []byte, g chat.Goodbye) []byte {
	dst = appendIntField(append(dst, `{"type":"goodbye"`...), "code", g.Code)
	dst = appendStringField(dst, "reason", g.Reason)
	dst = appendStringField(dst, "message", g.Text)
	dst = appendStringField(dst, "retry", retryWords[g.Retry()])
	return append(appendOptInt(dst, "retry_after", g.Wait), '}')
}

// appendHead begins an event. typ needs no escaping.
func appendHead(dst []byte, typ string, ev *chat.Event) []byte {
	dst = append(append(append(dst, `{"type":"`...), typ...), '"')
	return appendStringField(dst, "room", ev.Room)
}

// appendMessage appends a message as it stands in arrays, without type and room.
func appendMessage(dst []byte, m *chat.Message) []byte {
	start := len(dst)
	return openObject(appendMessageFields(dst, m), start)
}

func appendMessageFields(dst []byte, m *chat.Message) []byte {
	dst = appendIntField(dst, "seq", m.Seq)
	dst = appendIntField(dst, "rev", m.Rev)
	dst = appendStringField(dst, "user", m.User)
	dst = appendStringField(dst, "message", m.Text)
	dst = appendTimeField(dst, "time", m.Time)
	dst = appendOptString(dst, "key", m.Key)
	dst = appendOptInt(dst, "reply_to", m.ReplyTo)
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
	dst = appendIntField(dst, "count", len(r.Users))
	dst = appendStrings(appendName(dst, "users"), r.Users[:min(len(r.Users), maxReactionUsers)])
	return append(dst, '}')
}

// appendMember appends a member as it stands in arrays.
func appendMember(dst []byte, m *chat.Member) []byte {
	dst = appendString(append(dst, `{"user":`...), m.User)
	dst = appendOptString(dst, "name", m.Name)
	dst = appendStringField(dst, "role", m.Role.String())
	return append(appendIntField(dst, "rev", m.Rev), '}')
}

// appendInfo appends what people may change about a room.
func appendInfo(dst []byte, r *chat.Room) []byte {
	dst = appendStringField(dst, "title", r.Title)
	dst = appendBoolField(dst, "open", r.Open)
	return appendBoolField(dst, "read_only", r.ReadOnly)
}

func appendPresence(dst []byte, p *chat.Presence) []byte {
	dst = appendIntField(dst, "online", p.Online)
	if len(p.Came) > 0 {
		dst = appendStrings(appendName(dst, "came"), p.Came)
	}
	if len(p.Went) > 0 {
		dst = appendStrings(appendName(dst, "went"), p.Went)
	}
	return dst
}
