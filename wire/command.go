package wire

import (
	"encoding/json"

	"github.com/roomtide/roomtide/chat"
)

// Type names a command, an event or a reply. The names are the same on every
// transport.
type Type string

// Commands.
const (
	Hello   Type = "hello"
	Join    Type = "join"
	Leave   Type = "leave"
	Message Type = "message"
	Edit    Type = "edit"
	Delete  Type = "delete"
	React   Type = "react"
	Read    Type = "read"
	Typing  Type = "typing"
	History Type = "history"
	Changes Type = "changes"
	Members Type = "members"
	Online  Type = "online"
	Rooms   Type = "rooms"
	Users   Type = "users"
	Unread  Type = "unread"
	Ping    Type = "ping"

	GetRoom   Type = "room"
	SetRoom   Type = "set_room"
	SetMember Type = "set_member"

	Foreground     Type = "foreground"
	RegisterDevice Type = "register_device"
	DropDevice     Type = "drop_device"
	Devices        Type = "devices"
	GetPush        Type = "push"
	SetPush        Type = "set_push"
)

// commands are the types that a client may send.
var commands = func() map[string]Type {
	m := make(map[string]Type)
	for _, t := range []Type{
		Hello, Join, Leave, Message, Edit, Delete, React, Read, Typing, History, Changes,
		Members, Online, Rooms, Users, Unread, Ping, GetRoom, SetRoom, SetMember,
		RegisterDevice, DropDevice, Devices, GetPush, SetPush, Foreground,
	} {
		m[string(t)] = t
	}
	return m
}()

// roomAlone are the commands that a room is enough for.
var roomAlone = map[Type]bool{Join: true, Leave: true, Typing: true, History: true, Members: true, Online: true, GetRoom: true}

// Features are what was added to version 1 of the protocol after it was published,
// by the name of the command or of the field of a reply. The ack of hello has them,
// so that a client can tell what a server knows. The list is append-only.
var Features = []string{"room", "set_room", "set_member", "command", "older", "partial", "users", "mentions",
	"register_device", "drop_device", "devices", "push", "set_push", "foreground", "webpush_key"}

// Command is one request of a client, with the fields of every type; Type says
// which of them count. Fields with unknown names are not kept.
type Command struct {
	Type  Type
	Bare  bool  // there was no type, only a message: the room is joined first if that is allowed
	Alone bool  // the message came as a text alone: it is for the one room that the connection is in
	ID    int64 // the client's number, repeated in the reply
	HasID bool  // a command without an id is answered by errors alone

	Room chat.RoomID
	User chat.UserID // the name of a guest; must agree with the identity of the connection

	// hello
	Token string
	Name  string

	// message, edit; Data also of set_room and set_member
	Text    string
	HasText bool // the field message was there, maybe empty
	Key     string
	ReplyTo chat.Seq
	Data    json.RawMessage

	// message
	Mentions []chat.UserID // besides those in the text

	// edit, delete, react, read
	Seq   chat.Seq
	Emoji string
	On    *bool // react, typing, foreground: nil means true

	// join, history, changes, members, rooms
	After     int64 // a rev (join, changes) or a seq (history)
	HasAfter  bool
	Before    chat.Seq
	HasBefore bool
	AfterID   string    // members, rooms, push: the "after" of a page is a user or room id, or the next of the page before
	Limit     int       // 0: the default
	Role      chat.Role // members: those with this role, RoleNone: all; set_member: the new one
	HasRole   bool

	// join, history
	Around     chat.Seq
	AroundRead bool // around is "read"

	// rooms
	Order    string
	Archived bool

	// users
	Of []chat.UserID

	// set_room; nil stays
	Title    *string
	Topic    *string
	Avatar   *string
	Open     *bool
	ReadOnly *bool

	// set_member
	Member chat.UserID // the user whose role it is
	Until  int64       // Unix milliseconds; 0: the role does not end
	Unban  bool

	Push PushFields
}
