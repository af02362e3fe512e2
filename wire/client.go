package wire

import (
	"encoding/json"
	"fmt"

	"github.com/roomtide/roomtide/chat"
)

// AppendCommand appends cmd as a client sends it; Decode returns the same cmd.
// Fields that are not set are left out.
func AppendCommand(dst []byte, cmd *Command) []byte {
	start := len(dst)
	if !cmd.Bare {
		dst = appendOptString(dst, "type", cmd.Type)
	}
	if cmd.HasID {
		dst = appendIntField(dst, "id", cmd.ID)
	}
	dst = appendOptString(dst, "room", cmd.Room)
	dst = appendOptString(dst, "user", cmd.User)
	dst = appendOptString(dst, "token", cmd.Token)
	dst = appendOptString(dst, "name", cmd.Name)
	if cmd.HasText {
		dst = appendStringField(dst, "message", cmd.Text)
	}
	dst = appendOptString(dst, "key", cmd.Key)
	dst = appendOptInt(dst, "reply_to", cmd.ReplyTo)
	if cmd.Mentions != nil {
		dst = appendStrings(appendName(dst, "mentions"), cmd.Mentions)
	}
	if len(cmd.Data) > 0 {
		dst = append(appendName(dst, "data"), cmd.Data...)
	}
	dst = appendOptInt(dst, "seq", cmd.Seq)
	dst = appendOptString(dst, "emoji", cmd.Emoji)
	if cmd.On != nil {
		dst = appendBoolField(dst, "on", *cmd.On)
	}
	return openObject(appendAdmin(appendQuestion(dst, cmd), cmd), start)
}

// appendQuestion appends the fields that say what a question is about.
func appendQuestion(dst []byte, cmd *Command) []byte {
	if cmd.HasAfter {
		dst = appendIntField(dst, "after", cmd.After)
	}
	dst = appendOptString(dst, "after", cmd.AfterID)
	if cmd.HasBefore {
		dst = appendIntField(dst, "before", cmd.Before)
	}
	if cmd.HasRole || cmd.Role != chat.RoleNone {
		dst = appendStringField(dst, "role", cmd.Role.String())
	}
	if cmd.Of != nil {
		dst = appendStrings(appendName(dst, "of"), cmd.Of)
	}
	if cmd.AroundRead {
		dst = appendStringField(dst, "around", "read")
	} else {
		dst = appendOptInt(dst, "around", cmd.Around)
	}
	dst = appendOptString(dst, "order", cmd.Order)
	if cmd.Archived {
		dst = appendBoolField(dst, "archived", true)
	}
	return appendOptInt(dst, "limit", cmd.Limit)
}

// appendAdmin appends the fields of the commands that change rooms and memberships.
func appendAdmin(dst []byte, cmd *Command) []byte {
	for _, f := range []struct {
		name string
		text *string
	}{{"title", cmd.Title}, {"topic", cmd.Topic}, {"avatar", cmd.Avatar}} {
		if f.text != nil {
			dst = appendStringField(dst, f.name, *f.text)
		}
	}
	if cmd.Open != nil {
		dst = appendBoolField(dst, "open", *cmd.Open)
	}
	if cmd.ReadOnly != nil {
		dst = appendBoolField(dst, "read_only", *cmd.ReadOnly)
	}
	dst = appendOptString(dst, "member", cmd.Member)
	if cmd.Until != 0 {
		dst = appendTimeField(dst, "until", cmd.Until)
	}
	if cmd.Unban {
		dst = appendBoolField(dst, "unban", true)
	}
	return appendPush(dst, &cmd.Push)
}

// ServerFrame is a frame of a server as a client reads it. Which fields are set
// depends on Type and, for an ack, on the command it answers.
type ServerFrame struct {
	Type  string // "ack", "accepted", "error", "gap", "goodbye" or the name of an event
	ID    int64  // of the command an ack or error answers
	HasID bool

	Event *chat.Event // of an event whose kind is known

	Err     *chat.Error   // of an error
	Command Type          // of an error: the type of the command, which Room belongs to
	Goodbye *chat.Goodbye // of a goodbye

	// ack, gap
	Room chat.RoomID
	Seq  chat.Seq
	Rev  chat.Rev
	Time int64 // Unix milliseconds

	Key    string // of an accepted, if the message has one
	Reason string // of a gap (chat.GapReason)

	// hello
	User    chat.UserID
	Name    string
	Avatar  string
	Session string
	Guest   bool
	Limits  *chat.Limits

	// join, history, changes, members, online, read, rooms, unread, users
	Features []string // see Features

	// join, history, changes, members, online, read, rooms, users
	Role        chat.Role
	Info        *chat.Room // title, open, read_only, topic, avatar and data, nil if they are not in the frame
	Messages    []chat.Message
	Members     []chat.Member
	MemberCount int
	Online      []chat.UserID
	OnlineCount int
	Degraded    bool // Online and OnlineCount are as chat.Online says
	Read        chat.Seq
	Unread      UnreadCount
	More        bool
	Newer       bool
	Older       bool // of a join: there are older messages
	Partial     bool // of a join: the room is not joined yet
	Member      chat.UserID
	Reset       bool
	Rooms       []MyRoom // of unread: Room, Role and Last are not set
	Next        string
	Users       []chat.User
	Devices     []chat.Device
	Push        []chat.PushSettings // of push and set_push
}

// DecodeServer reads a frame of a server. An event of an unknown kind, which newer
// servers may send, has its Type and no Event.
func DecodeServer(frame []byte) (*ServerFrame, error) {
	var j serverJSON
	if err := json.Unmarshal(frame, &j); err != nil {
		return nil, fmt.Errorf("wire: frame of a server: %w", err)
	}
	f := &ServerFrame{Type: j.Type, Room: j.Room}
	if j.ID != nil {
		f.ID, f.HasID = *j.ID, true
	}
	var err error
	switch j.Type {
	case "ack":
		err = j.ack(f)
	case "accepted":
		f.Key = j.Key
	case "gap":
		f.Rev, f.Reason = j.Rev, j.Reason
	case "error":
		err = j.refusal(f)
	case "goodbye":
		f.Goodbye = &chat.Goodbye{Reason: j.Reason, Text: j.Text, Wait: j.RetryAfter}
		err = json.Unmarshal(j.Code, &f.Goodbye.Code)
	default:
		err = j.event(f)
	}
	if err != nil {
		return nil, fmt.Errorf("wire: %s of a server: %w", j.Type, err)
	}
	return f, nil
}
