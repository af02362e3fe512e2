package store

import "github.com/roomtide/roomtide/chat"

// LaneID names a lane within its shard. In embedded mode a shard has one lane, 0.
type LaneID int

// Position says where a lane stands. Epoch counts owners, N counts commits.
type Position struct {
	Epoch int64
	N     int64
}

// Next is the position after one more commit.
func (p Position) Next() Position { return Position{p.Epoch, p.N + 1} }

// Page asks for messages of a room. At most one of Before and After is set;
// with neither it asks for the newest.
type Page struct {
	Before chat.Seq // messages with a smaller number, the nearest ones
	After  chat.Seq // messages with a larger number, the nearest ones; or FromStart
	Limit  int
}

// FromStart as Page.After asks for the oldest messages.
const FromStart chat.Seq = -1

// Head is a room and its newest message.
type Head struct {
	Room chat.Room
	Last *chat.Message // nil in an empty room; reactions not filled
}

// OnlineEntry says that a node has noted a user online in a room.
type OnlineEntry struct {
	User chat.UserID
	Node string
}

// UserRoom is the user's side of a membership: a projection of the member row,
// plus what belongs to the user alone.
type UserRoom struct {
	User chat.UserID
	Room chat.RoomID
	Role chat.Role // RoleNone once they left; such rows are kept, not listed
	Rev  chat.Rev  // of the member row this was projected from
	Read chat.Seq  // everything up to here is read
}

// The keys of rows that a batch depends on.
type (
	MemberKey struct {
		Room chat.RoomID
		User chat.UserID
	}
	MessageKey struct {
		Room chat.RoomID
		User chat.UserID
		Key  string
	}
	MessageRef struct {
		Room chat.RoomID
		Seq  chat.Seq
	}
	ReactionKey struct {
		Room  chat.RoomID
		Seq   chat.Seq
		Emoji string
		User  chat.UserID
	}
	UserRoomKey struct {
		User chat.UserID
		Room chat.RoomID
	}
)

// Need names the rows to Load. Repeats are allowed.
type Need struct {
	Rooms     []chat.RoomID
	Members   []MemberKey
	Keys      []MessageKey
	Messages  []MessageRef
	Reactions []MessageRef // every reaction under these messages
	UserRooms []UserRoomKey
	Users     []chat.UserID
	Access    []chat.UserID
}

// Empty reports whether nothing is needed.
func (n *Need) Empty() bool {
	return len(n.Rooms)+len(n.Members)+len(n.Keys)+len(n.Messages)+len(n.Reactions)+len(n.UserRooms)+len(n.Users)+len(n.Access) == 0
}

// State is what Load found. Messages found by key are in Messages too.
type State struct {
	Rooms     map[chat.RoomID]chat.Room
	Members   map[MemberKey]chat.Member
	Keys      map[MessageKey]chat.Seq
	Messages  map[MessageRef]chat.Message
	Reactions map[MessageRef][]chat.Reaction
	UserRooms map[UserRoomKey]UserRoom
	Users     map[chat.UserID]chat.User
	Access    map[chat.UserID]chat.Access
}

// NewState returns an empty State with its maps made.
func NewState() *State {
	return &State{
		Rooms:     map[chat.RoomID]chat.Room{},
		Members:   map[MemberKey]chat.Member{},
		Keys:      map[MessageKey]chat.Seq{},
		Messages:  map[MessageRef]chat.Message{},
		Reactions: map[MessageRef][]chat.Reaction{},
		UserRooms: map[UserRoomKey]UserRoom{},
		Users:     map[chat.UserID]chat.User{},
		Access:    map[chat.UserID]chat.Access{},
	}
}

// Changes are the rows that one batch writes, each row at most once.
type Changes struct {
	Rooms     []chat.Room    // inserted or replaced
	Members   []chat.Member  // inserted or replaced
	Insert    []chat.Message // new
	Update    []chat.Message // Rev, Text, Data, Edited, Deleted replaced
	Reactions []ReactionChange
	UserRooms []UserRoom    // inserted or replaced
	Users     []chat.User   // inserted or replaced
	Access    []chat.Access // inserted or replaced
	Online    []OnlineChange
	Cursors   []Cursor
	Outbox    []byte // Entry.Encode, for the position the commit moves to; nil: no entry
}

// ReactionChange adds or removes one reaction.
type ReactionChange struct {
	ReactionKey
	On   bool
	Time int64 // Unix milliseconds; orders reactions in reads
}

// OnlineChange notes a user online in a room, or gone. A Room of "" with On
// false removes every entry of the node.
type OnlineChange struct {
	Room chat.RoomID
	OnlineEntry
	On bool
}

// Cursor says how far a consumer of the outbox has worked. Committing one also
// deletes the entries that every consumer has passed; without any cursor, all are
// kept.
type Cursor struct {
	Consumer string
	Position int64
	Drop     bool // deletes the consumer's cursor instead of setting it
}
