package wire

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// AppendCommand appends cmd as a client sends it; Decode reads the same cmd
// back. Fields that are not set are left out.
func AppendCommand(dst []byte, cmd *Command) []byte {
	start := len(dst)
	dst = appendOptString(dst, "type", cmd.Type)
	if cmd.HasID {
		dst = appendIntField(dst, "id", cmd.ID)
	}
	dst = appendOptString(dst, "room", cmd.Room)
	dst = appendOptString(dst, "user", cmd.User)
	dst = appendOptString(dst, "token", cmd.Token)
	dst = appendOptString(dst, "name", cmd.Name)
	dst = appendOptString(dst, "client", cmd.Client)
	dst = appendOptString(dst, "device", cmd.Device)
	if cmd.HasText {
		dst = appendStringField(dst, "message", cmd.Text)
	}
	dst = appendOptString(dst, "key", cmd.Key)
	dst = appendOptInt(dst, "reply_to", cmd.ReplyTo)
	if len(cmd.Data) > 0 {
		dst = append(appendName(dst, "data"), cmd.Data...)
	}
	if len(cmd.Attachments) > 0 {
		dst = append(appendName(dst, "attachments"), cmd.Attachments...)
	}
	dst = appendOptInt(dst, "seq", cmd.Seq)
	dst = appendOptString(dst, "emoji", cmd.Emoji)
	if cmd.On != nil {
		dst = appendBoolField(dst, "on", *cmd.On)
	}
	if cmd.HasAfter {
		dst = appendIntField(dst, "after", cmd.After)
	}
	dst = appendOptString(dst, "after", cmd.AfterUser)
	if cmd.HasBefore {
		dst = appendIntField(dst, "before", cmd.Before)
	}
	return openObject(appendOptInt(dst, "limit", cmd.Limit), start)
}

// ServerFrame is what a server sends, as a client reads it. Which fields are
// set depends on Type and, for an ack, on the command it answers.
type ServerFrame struct {
	Type  string // "ack", "error", "gap", "goodbye" or the name of an event
	ID    int64  // of the command an ack or error answers
	HasID bool

	Event *chat.Event // of an event this version knows

	Err     *chat.Error   // of an error
	Goodbye *chat.Goodbye // of a goodbye

	// ack, gap
	Room chat.RoomID
	Seq  chat.Seq
	Rev  chat.Rev
	Time int64 // Unix milliseconds

	// hello
	User    chat.UserID
	Name    string
	Session string
	Guest   bool
	Limits  *chat.Limits

	// join, history, changes, members, online, read, rooms
	Role        chat.Role
	Info        *chat.Room // title, open, read_only when they were told
	Messages    []chat.Message
	Members     []chat.Member
	MemberCount int
	Online      []chat.UserID
	OnlineCount int
	Unread      int64
	More        bool
	Reset       bool
	Rooms       []MyRoom
}

// DecodeServer reads a frame of a server. An event of an unknown type has its
// Type and no Event: newer servers may send more.
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
	case "gap":
		f.Rev = j.Rev
	case "error":
		err = j.refusal(f)
	case "goodbye":
		f.Goodbye = &chat.Goodbye{Reason: j.Reason, Text: j.Text}
		err = json.Unmarshal(j.Code, &f.Goodbye.Code)
	default:
		err = j.event(f)
	}
	if err != nil {
		return nil, fmt.Errorf("wire: %s of a server: %w", j.Type, err)
	}
	return f, nil
}

// serverJSON has the fields of every frame. Code is a word in an error and a
// number in a goodbye; Online is a list in an ack and a number in an event.
type serverJSON struct {
	Type string      `json:"type"`
	ID   *int64      `json:"id"`
	Room chat.RoomID `json:"room"`
	messageJSON

	Code       json.RawMessage `json:"code"`
	RetryAfter int64           `json:"retry_after"`
	Reason     string          `json:"reason"`

	Name     string        `json:"name"`
	Role     string        `json:"role"`
	Title    *string       `json:"title"`
	Open     bool          `json:"open"`
	ReadOnly bool          `json:"read_only"`
	Emoji    string        `json:"emoji"`
	On       bool          `json:"on"`
	Came     []chat.UserID `json:"came"`
	Went     []chat.UserID `json:"went"`

	Session     string          `json:"session"`
	Guest       bool            `json:"guest"`
	Limits      map[string]int  `json:"limits"`
	Messages    []messageJSON   `json:"messages"`
	Members     []memberJSON    `json:"members"`
	MemberCount int             `json:"member_count"`
	Count       int             `json:"count"`
	Online      json.RawMessage `json:"online"`
	OnlineCount int             `json:"online_count"`
	Unread      int64           `json:"unread"`
	More        bool            `json:"more"`
	Reset       bool            `json:"reset"`
	Rooms       []myRoomJSON    `json:"rooms"`
}

type messageJSON struct {
	Seq       chat.Seq        `json:"seq"`
	Rev       chat.Rev        `json:"rev"`
	User      chat.UserID     `json:"user"`
	Text      string          `json:"message"`
	Time      jsonTime        `json:"time"`
	Key       string          `json:"key"`
	ReplyTo   chat.Seq        `json:"reply_to"`
	Data      json.RawMessage `json:"data"`
	Edited    jsonTime        `json:"edited"`
	Deleted   bool            `json:"deleted"`
	Reactions []struct {
		Emoji string        `json:"emoji"`
		Users []chat.UserID `json:"users"`
	} `json:"reactions"`
}

type memberJSON struct {
	User chat.UserID `json:"user"`
	Name string      `json:"name"`
	Role string      `json:"role"`
	Rev  chat.Rev    `json:"rev"`
}

type myRoomJSON struct {
	Room   chat.RoomID  `json:"room"`
	Title  string       `json:"title"`
	Role   string       `json:"role"`
	Seq    chat.Seq     `json:"seq"`
	Rev    chat.Rev     `json:"rev"`
	Read   chat.Seq     `json:"read"`
	Unread int64        `json:"unread"`
	Mute   bool         `json:"mute"`
	Last   *messageJSON `json:"last"`
}

// jsonTime is Unix milliseconds, written as RFC 3339.
type jsonTime int64

func (t *jsonTime) UnmarshalText(b []byte) error {
	at, err := time.Parse(time.RFC3339, string(b))
	*t = jsonTime(at.UnixMilli())
	return err
}

func (j *serverJSON) ack(f *ServerFrame) error {
	f.Seq, f.Rev, f.Time = j.Seq, j.Rev, int64(j.Time)
	f.User, f.Name, f.Session, f.Guest = j.User, j.Name, j.Session, j.Guest
	f.Role, _ = chat.ParseRole(j.Role)
	f.Info = j.info()
	f.MemberCount, f.OnlineCount = max(j.MemberCount, j.Count), j.OnlineCount
	f.Unread, f.More, f.Reset = j.Unread, j.More, j.Reset
	if j.Limits != nil {
		f.Limits = new(chat.Limits)
		for _, l := range limitFields(f.Limits) {
			*l.n = j.Limits[l.name]
		}
	}
	for i := range j.Messages {
		f.Messages = append(f.Messages, j.Messages[i].message(j.Room))
	}
	for i := range j.Members {
		f.Members = append(f.Members, j.Members[i].member(j.Room))
	}
	for i := range j.Rooms {
		f.Rooms = append(f.Rooms, j.Rooms[i].room())
	}
	if j.Online == nil {
		return nil
	}
	return json.Unmarshal(j.Online, &f.Online)
}

// info is nil when the frame tells nothing about the room itself.
func (j *serverJSON) info() *chat.Room {
	if j.Title == nil {
		return nil
	}
	return &chat.Room{ID: j.Room, Title: *j.Title, Open: j.Open, ReadOnly: j.ReadOnly}
}

func (j *serverJSON) refusal(f *ServerFrame) error {
	var code string
	f.Err = &chat.Error{Text: j.Text, RetryAfter: j.RetryAfter}
	if err := json.Unmarshal(j.Code, &code); err != nil {
		return err
	}
	for k := chat.Internal; k < chat.Fenced; k++ {
		if k.Code() == code {
			f.Err.Kind = k
		}
	}
	return nil
}

func (j *serverJSON) event(f *ServerFrame) error {
	ev := &chat.Event{Room: j.Room, Rev: j.Rev}
	switch j.Type {
	case "message", "edited":
		m := j.message(j.Room)
		ev.Kind, ev.Message = chat.EventMessage, &m
		if j.Type == "edited" {
			ev.Kind = chat.EventEdited
		}
	case "deleted":
		ev.Kind = chat.EventDeleted
		ev.Message = &chat.Message{Room: j.Room, Seq: j.Seq, Rev: j.Rev, User: j.User, Deleted: true}
	case "reacted":
		ev.Kind, ev.Seq, ev.User, ev.Emoji, ev.On = chat.EventReacted, j.Seq, j.User, j.Emoji, j.On
	case "member":
		role, _ := chat.ParseRole(j.Role)
		ev.Kind, ev.Member = chat.EventMember, &chat.Member{Room: j.Room, User: j.User, Name: j.Name, Role: role, Rev: j.Rev}
	case "room":
		ev.Kind, ev.Info = chat.EventRoom, j.info()
		if ev.Info != nil {
			ev.Info.Rev = j.Rev
		}
	case "presence":
		ev.Kind, ev.Presence = chat.EventPresence, &chat.Presence{Came: j.Came, Went: j.Went}
		f.Event = ev
		return json.Unmarshal(j.Online, &ev.Presence.Online)
	case "typing":
		ev.Kind, ev.User, ev.On = chat.EventTyping, j.User, j.On
	case "read":
		ev.Kind, ev.User, ev.Seq = chat.EventRead, j.User, j.Seq
	default:
		return nil
	}
	f.Event = ev
	return nil
}

func (m *messageJSON) message(room chat.RoomID) chat.Message {
	out := chat.Message{
		Room: room, Seq: m.Seq, Rev: m.Rev, User: m.User, Text: m.Text, Time: int64(m.Time), Key: m.Key,
		ReplyTo: m.ReplyTo, Data: m.Data, Edited: int64(m.Edited), Deleted: m.Deleted,
	}
	for _, r := range m.Reactions {
		out.Reactions = append(out.Reactions, chat.Reaction{Emoji: r.Emoji, Users: r.Users})
	}
	return out
}

func (m *memberJSON) member(room chat.RoomID) chat.Member {
	role, _ := chat.ParseRole(m.Role)
	return chat.Member{Room: room, User: m.User, Name: m.Name, Role: role, Rev: m.Rev}
}

func (r *myRoomJSON) room() MyRoom {
	role, _ := chat.ParseRole(r.Role)
	out := MyRoom{
		Room: chat.Room{ID: r.Room, Title: r.Title, LastSeq: r.Seq, Rev: r.Rev},
		Role: role, Read: r.Read, Unread: r.Unread, Mute: r.Mute,
	}
	if r.Last != nil {
		last := r.Last.message(r.Room)
		out.Last = &last
	}
	return out
}
