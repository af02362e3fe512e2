package wire

import (
	"encoding/json"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// serverJSON has the fields of every frame. Code is a word in an error and a
// number in a goodbye; Online is a list in an ack and a number in an event.
type serverJSON struct {
	Type string      `json:"type"`
	ID   *int64      `json:"id"`
	Room chat.RoomID `json:"room"`
	messageJSON

	Command    Type            `json:"command"`
	Code       json.RawMessage `json:"code"`
	RetryAfter int64           `json:"retry_after"`
	Reason     string          `json:"reason"`

	Avatar   string        `json:"avatar"`
	Topic    string        `json:"topic"`
	Until    jsonTime      `json:"until"`
	Role     string        `json:"role"`
	Title    *string       `json:"title"`
	Open     bool          `json:"open"`
	ReadOnly bool          `json:"read_only"`
	Archived bool          `json:"archived"`
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
	Since       *chat.Rev       `json:"since"`
	Count       int             `json:"count"`
	Online      json.RawMessage `json:"online"`
	OnlineCount int             `json:"online_count"`
	Degraded    bool            `json:"degraded"`
	unreadJSON
	Read     chat.Seq     `json:"read"`
	More     bool         `json:"more"`
	Newer    bool         `json:"newer"`
	Next     string       `json:"next"`
	Older    bool         `json:"older"`
	Partial  bool         `json:"partial"`
	Reset    bool         `json:"reset"`
	Member   chat.UserID  `json:"member"`
	Features []string     `json:"features"`
	Rooms    []myRoomJSON `json:"rooms"`
	Users    []userJSON   `json:"users"`

	Devices  []deviceJSON       `json:"devices"`
	Settings []pushSettingsJSON `json:"settings"`
}

type messageJSON struct {
	Seq       chat.Seq        `json:"seq"`
	Rev       chat.Rev        `json:"rev"`
	User      chat.UserID     `json:"user"`
	Name      string          `json:"name"`
	Text      string          `json:"message"`
	Time      jsonTime        `json:"time"`
	Key       string          `json:"key"`
	ReplyTo   chat.Seq        `json:"reply_to"`
	Mentions  []chat.UserID   `json:"mentions"`
	Data      json.RawMessage `json:"data"`
	Edited    jsonTime        `json:"edited"`
	Deleted   bool            `json:"deleted"`
	Reactions []struct {
		Emoji string        `json:"emoji"`
		Count int           `json:"count"`
		Users []chat.UserID `json:"users"`
	} `json:"reactions"`
}

type memberJSON struct {
	userJSON
	Role  string   `json:"role"`
	Until jsonTime `json:"until"`
	Rev   chat.Rev `json:"rev"`
}

type userJSON struct {
	User   chat.UserID     `json:"user"`
	Name   string          `json:"name"`
	Avatar string          `json:"avatar"`
	Data   json.RawMessage `json:"data"`
}

type myRoomJSON struct {
	Room     chat.RoomID     `json:"room"`
	Title    string          `json:"title"`
	Topic    string          `json:"topic"`
	Avatar   string          `json:"avatar"`
	Data     json.RawMessage `json:"data"`
	Role     string          `json:"role"`
	Seq      chat.Seq        `json:"seq"`
	Rev      chat.Rev        `json:"rev"`
	Read     chat.Seq        `json:"read"`
	Last     *messageJSON    `json:"last"`
	Archived bool            `json:"archived"`
	unreadJSON
}

type unreadJSON struct {
	Unread     int64    `json:"unread"`
	UnreadMore bool     `json:"unread_more"`
	UnreadFrom chat.Seq `json:"unread_from"`
}

func (j *unreadJSON) unread() UnreadCount {
	return UnreadCount{Count: j.Unread, More: j.UnreadMore, From: j.UnreadFrom}
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
	if j.User != "" { // else it is the room's
		f.Avatar = j.Avatar
	}
	f.Role, _ = chat.ParseRole(j.Role)
	f.Info = j.info()
	f.MemberCount, f.OnlineCount, f.Degraded = max(j.MemberCount, j.Count), j.OnlineCount, j.Degraded
	f.Read, f.Unread = j.Read, j.unread()
	f.More, f.Newer, f.Next, f.Reset = j.More, j.Newer, j.Next, j.Reset
	f.Older, f.Partial, f.Member, f.Features = j.Older, j.Partial, j.Member, j.Features
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
	for _, u := range j.Users {
		f.Users = append(f.Users, chat.User{ID: u.User, Name: u.Name, Avatar: u.Avatar, Data: string(u.Data)})
	}
	for _, d := range j.Devices {
		f.Devices = append(f.Devices, chat.Device{ID: d.Device, Provider: d.Provider, Language: d.Language, Registered: int64(d.Registered), Seen: int64(d.Seen)})
	}
	for i := range j.Settings {
		s, err := j.Settings[i].settings()
		if err != nil {
			return err
		}
		f.Push = append(f.Push, s)
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
	return &chat.Room{
		ID: j.Room, Title: *j.Title, Open: j.Open, ReadOnly: j.ReadOnly, Topic: j.Topic, Avatar: j.Avatar, Data: string(j.Data),
		Archived: j.Archived, Deleted: j.Deleted,
	}
}

func (j *serverJSON) refusal(f *ServerFrame) error {
	var code string
	f.Command = j.Command
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

// event reads an event; of a kind that is not in the table of chat, f.Event stays
// nil.
func (j *serverJSON) event(f *ServerFrame) error {
	kind, known := chat.ParseEventKind(j.Type)
	if !known {
		return nil
	}
	f.Event = &chat.Event{Kind: kind, Room: j.Room, Rev: j.Rev}
	if j.Since != nil {
		f.Event.First = *j.Since + 1
	}
	return payloads[kind.Payload()].read(j, f.Event)
}

func (m *messageJSON) message(room chat.RoomID) chat.Message {
	out := chat.Message{
		Room: room, Seq: m.Seq, Rev: m.Rev, User: m.User, Name: m.Name, Text: m.Text, Time: int64(m.Time), Key: m.Key,
		ReplyTo: m.ReplyTo, Mentions: m.Mentions, Data: m.Data, Edited: int64(m.Edited), Deleted: m.Deleted,
	}
	for _, r := range m.Reactions {
		out.Reactions = append(out.Reactions, chat.Reaction{Emoji: r.Emoji, Count: r.Count, Users: r.Users})
	}
	return out
}

func (m *memberJSON) member(room chat.RoomID) chat.Member {
	role, _ := chat.ParseRole(m.Role)
	return chat.Member{
		Room: room, User: m.User, Name: m.Name, Avatar: m.Avatar, Data: string(m.Data), Role: role, Until: int64(m.Until), Rev: m.Rev,
	}
}

func (r *myRoomJSON) room() MyRoom {
	role, _ := chat.ParseRole(r.Role)
	out := MyRoom{
		Room: chat.Room{ID: r.Room, Title: r.Title, Topic: r.Topic, Avatar: r.Avatar, Data: string(r.Data), LastSeq: r.Seq, Rev: r.Rev, Archived: r.Archived},
		Role: role, Read: r.Read, Unread: r.unread(),
	}
	if r.Last != nil {
		last := r.Last.message(r.Room)
		out.Last = &last
	}
	return out
}
