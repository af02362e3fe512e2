package wire

import (
	"encoding/json"

	"github.com/roomtide/roomtide/chat"
)

// payloads has the encoder and the decoder of every payload of an event. The
// append half writes the fields behind type and room, each preceded by a comma;
// the read half is its reverse for clients. A durable payload writes its rev.
var payloads = [...]struct {
	append func(dst []byte, ev *chat.Event) []byte
	read   func(j *serverJSON, ev *chat.Event) error
}{
	chat.PayloadMessage:   {appendWhole, readWhole},
	chat.PayloadTombstone: {appendTombstone, readTombstone},
	chat.PayloadReaction:  {appendReacted, readReacted},
	chat.PayloadMember:    {appendMembership, readMembership},
	chat.PayloadRoom:      {appendRoom, readRoom},
	chat.PayloadPresence:  {appendPresence, readPresence},
	chat.PayloadTyping:    {appendTyping, readTyping},
	chat.PayloadRead:      {appendRead, readRead},
	chat.PayloadMembers:   {appendMembers, readMembers},
}

// appendWhole leaves out the key: it is the sender's own, and an event is encoded
// once for all receivers.
func appendWhole(dst []byte, ev *chat.Event) []byte { return appendMessageFields(dst, ev.Message, "") }

func readWhole(j *serverJSON, ev *chat.Event) error {
	m := j.message(j.Room)
	ev.Message = &m
	return nil
}

func appendTombstone(dst []byte, ev *chat.Event) []byte {
	dst = appendIntField(dst, "seq", ev.Message.Seq)
	dst = appendIntField(dst, "rev", ev.Rev)
	return appendStringField(dst, "user", ev.Message.User)
}

func readTombstone(j *serverJSON, ev *chat.Event) error {
	ev.Message = &chat.Message{Room: j.Room, Seq: j.Seq, Rev: j.Rev, User: j.User, Deleted: true}
	return nil
}

func appendReacted(dst []byte, ev *chat.Event) []byte {
	dst = appendIntField(dst, "seq", ev.Seq)
	dst = appendIntField(dst, "rev", ev.Rev)
	dst = appendStringField(dst, "user", ev.User)
	dst = appendStringField(dst, "emoji", ev.Emoji)
	return appendBoolField(dst, "on", ev.On)
}

func readReacted(j *serverJSON, ev *chat.Event) error {
	ev.Seq, ev.User, ev.Emoji, ev.On = j.Seq, j.User, j.Emoji, j.On
	return nil
}

// appendRevs appends the rev, and that before the first change if the event stands
// for several.
func appendRevs(dst []byte, ev *chat.Event) []byte {
	if ev.First > 0 {
		dst = appendIntField(dst, "since", ev.After())
	}
	return appendIntField(dst, "rev", ev.Rev)
}

func appendMembership(dst []byte, ev *chat.Event) []byte {
	return appendMemberFields(appendRevs(dst, ev), ev.Member)
}

func readMembership(j *serverJSON, ev *chat.Event) error {
	role, _ := chat.ParseRole(j.Role)
	ev.Member = &chat.Member{
		Room: j.Room, User: j.User, Name: j.Name, Avatar: j.Avatar, Data: string(j.Data), Role: role, Until: int64(j.Until), Rev: j.Rev,
	}
	return nil
}

func appendRoom(dst []byte, ev *chat.Event) []byte {
	dst = appendInfo(appendRevs(dst, ev), ev.Info)
	if ev.Info.Deleted {
		dst = appendBoolField(dst, "deleted", true)
	}
	return dst
}

func readRoom(j *serverJSON, ev *chat.Event) error {
	if ev.Info = j.info(); ev.Info != nil {
		ev.Info.Rev = j.Rev
	}
	return nil
}

// appendInfo appends the fields of a room that can be changed.
func appendInfo(dst []byte, r *chat.Room) []byte {
	dst = appendStringField(dst, "title", r.Title)
	dst = appendBoolField(dst, "open", r.Open)
	dst = appendBoolField(dst, "read_only", r.ReadOnly)
	if r.Archived {
		dst = appendBoolField(dst, "archived", true)
	}
	dst = appendOptString(dst, "topic", r.Topic)
	dst = appendOptString(dst, "avatar", r.Avatar)
	return appendOptJSON(dst, "data", r.Data)
}

func appendPresence(dst []byte, ev *chat.Event) []byte {
	p := ev.Presence
	dst = appendIntField(dst, "online", p.Online)
	if len(p.Came) > 0 {
		dst = appendStrings(appendName(dst, "came"), p.Came)
	}
	if len(p.Went) > 0 {
		dst = appendStrings(appendName(dst, "went"), p.Went)
	}
	if p.Degraded {
		dst = appendBoolField(dst, "degraded", true)
	}
	return dst
}

func readPresence(j *serverJSON, ev *chat.Event) error {
	ev.Presence = &chat.Presence{Came: j.Came, Went: j.Went, Degraded: j.Degraded}
	return json.Unmarshal(j.Online, &ev.Presence.Online)
}

func appendTyping(dst []byte, ev *chat.Event) []byte {
	return appendBoolField(appendStringField(dst, "user", ev.User), "on", ev.On)
}

func readTyping(j *serverJSON, ev *chat.Event) error {
	ev.User, ev.On = j.User, j.On
	return nil
}

func appendRead(dst []byte, ev *chat.Event) []byte {
	dst = appendIntField(appendStringField(dst, "user", ev.User), "seq", ev.Seq)
	return appendUnread(dst, UnreadCount{Count: int64(ev.Count), More: ev.More})
}

func readRead(j *serverJSON, ev *chat.Event) error {
	ev.User, ev.Seq = j.User, j.Seq
	ev.Count, ev.More = int(j.Unread), j.UnreadMore
	return nil
}

func appendMembers(dst []byte, ev *chat.Event) []byte {
	return appendIntField(appendRevs(dst, ev), "member_count", ev.Count)
}

func readMembers(j *serverJSON, ev *chat.Event) error {
	ev.Count = j.MemberCount
	return nil
}
