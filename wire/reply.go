package wire

import "github.com/roomtide/roomtide/chat"

// Reply is the answer to a command: one of the structs below. Encoded alone it is
// the JSON object that HTTP returns; in a frame {"type":"ack","id":…} precedes its
// fields.
type Reply interface {
	// appendFields writes the fields without braces, each preceded by a comma.
	appendFields(dst []byte) []byte
}

// HelloReply: user, name, avatar, session, time, limits, guest, features, webpush_key.
type HelloReply struct {
	User    chat.UserID
	Name    string
	Avatar  string
	Session string
	Time    int64 // server time, Unix milliseconds
	Guest   bool
	Limits  *chat.Limits

	WebPushKey string // for which browsers subscribe; empty: there is no Web Push
}

// JoinReply: the room as it is at Rev. Without after: the newest messages, and
// More if there are older ones. With after: everything that changed since, and
// More if that was too much for one reply; then the room is not joined yet and
// the client joins again with after = Rev. Reset says that after was beyond the
// room's rev (a restored backup): the reply is as without after, and replaces the
// client's state of the room. On the wire a More without after is also told as
// older, and one with after as partial.
type JoinReply struct {
	Room     *chat.Room
	Rev      chat.Rev
	Seq      chat.Seq // newest message
	Role     chat.Role
	Messages []chat.Message
	Members  []chat.Member // with after: changed ones, RoleNone = left; otherwise the first page
	Online   []chat.UserID // the first page
	Count    int           // users online
	Degraded bool          // Online and Count are as chat.Online says
	Read     chat.Seq      // the user's read mark
	Unread   UnreadCount   // what is unread behind it; From is where it begins
	More     bool          // see above; around a place: there are older messages
	Newer    bool          // around a place: there are newer ones, up to Seq
	Partial  bool          // More in a reply with after, so the room is not joined yet
	Reset    bool
}

// ChangeReply answers message, edit, delete and react: seq of the message, rev and
// time of the change.
type ChangeReply struct {
	Room chat.RoomID
	Seq  chat.Seq
	Rev  chat.Rev
	Time int64 // Unix milliseconds; 0 is left out
}

// UnreadCount is how many messages of a room others have written behind a user's read
// mark, without deleted ones.
type UnreadCount struct {
	Count int64
	More  bool     // there may be more: the mark lies far behind the room's newest message
	From  chat.Seq // the first of those that were counted, 0 if none or not known
}

// ReadReply: the read mark and what is unread behind it.
type ReadReply struct {
	Room   chat.RoomID
	Seq    chat.Seq // the mark, which never goes back
	Unread UnreadCount
}

// HistoryReply: messages in ascending seq.
type HistoryReply struct {
	Room     chat.RoomID
	Messages []chat.Message
	More     bool // there are others further in the direction asked; around a place: older ones
	Newer    bool // around a place: there are newer ones
}

// ChangesReply: chat.Delta.
type ChangesReply struct{ Delta *chat.Delta }

// MembersReply: members in ascending user id.
type MembersReply struct {
	Room    chat.RoomID
	Members []chat.Member
	Count   int // of all members
	More    bool
}

// OnlineReply: the users online.
type OnlineReply struct {
	Room     chat.RoomID
	Users    []chat.UserID
	Count    int
	Degraded bool // see chat.Online
}

// RoomsReply: a page of the caller's rooms.
type RoomsReply struct {
	Rooms []MyRoom
	More  bool
	Next  string // After of the next page, if there is More
}

// RoomListReply: a page of all rooms (HTTP, for back ends).
type RoomListReply struct {
	Rooms []chat.Room
	More  bool
	Next  string // as in RoomsReply
}

// UnreadReply: what is unread in all rooms of a user together, and the rooms with
// something unread.
type UnreadReply struct {
	User   chat.UserID
	Unread UnreadCount
	Rooms  []UnreadRoom
}

// UnreadRoom is an entry of an UnreadReply.
type UnreadRoom struct {
	Room   chat.RoomID
	Seq    chat.Seq // newest message
	Read   chat.Seq
	Unread UnreadCount
}

// RemovedReply: a user's messages that were deleted (HTTP).
type RemovedReply struct {
	Deleted int
	More    bool
	Next    string // where to go on, if there is More
}

// MyRoom is an entry in a member's list of rooms.
type MyRoom struct {
	Room   chat.Room
	Role   chat.Role
	Read   chat.Seq
	Unread UnreadCount
	Last   *chat.Message // nil in an empty room
}

// UsersReply: what is known of users.
type UsersReply struct {
	Users []chat.User
	More  bool // those that were asked for behind the last one are left out
}

// UserReply: what is known of a user (HTTP).
type UserReply struct{ User *chat.User }

// RoomReply: the room itself.
type RoomReply struct{ Room *chat.Room }

// MemberReply: a membership as it is now.
type MemberReply struct{ Member *chat.Member }

// DoneReply: the command is done and has no result (leave, typing, ping).
type DoneReply struct{ Room chat.RoomID }
