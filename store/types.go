package store

import (
	"unicode/utf8"

	"github.com/roomtide/roomtide/chat"
)

// LaneID names a lane within its shard. In embedded mode a shard has one lane, 0.
type LaneID int

// Position says where a lane stands. Epoch counts owners, N counts commits.
type Position struct {
	Epoch int64
	N     int64
}

// Next is the position after one more commit.
func (p Position) Next() Position { return Position{p.Epoch, p.N + 1} }

// Taken is how far a lane has taken what was handed to it from outside: so a new owner
// passes over what an earlier one has decided, whichever way it came. The store does not
// look into it.
type Taken struct {
	// Queue is a number of the lane's queue: its entries up to this one are decided.
	// What follows is numbered as the queue numbers it; up to 2^63-1.
	Queue uint64

	// Senders has the number that is next of each sender, as the lane encodes them. At
	// most TakenBytes.
	Senders []byte
}

// TakenBytes bounds Taken.Senders.
const TakenBytes = 16 << 10

// Page asks for messages of a room. At most one of Before and After is set;
// with neither it asks for the newest.
type Page struct {
	Before chat.Seq // messages with a smaller number, the nearest ones
	After  chat.Seq // messages with a larger number, the nearest ones; or FromStart
	Limit  int
	Bytes  int // chat.Message.Size of all of them, though there is at least one; 0: no bound
}

// FromStart as Page.After asks for the oldest messages.
const FromStart chat.Seq = -1

// Head is a room and its newest message.
type Head struct {
	Room chat.Room
	Last *chat.Message // nil in an empty room; reactions not filled
}

// RoomFilter asks for rooms of a shard.
type RoomFilter struct {
	Prefix   string // of the id
	Open     *bool  // nil: both
	Archived bool   // archived rooms as well
	Order    Order
	After    RoomCursor // rooms behind it in the order
	Limit    int
}

// PrefixEnd is the least text that is greater than all that begin with the prefix,
// empty if there is none. Texts are ordered by their bytes, which for UTF-8 is the
// order of characters.
func (f *RoomFilter) PrefixEnd() string {
	for prefix := f.Prefix; prefix != ""; {
		last, size := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-size]
		if last++; last == 0xD800 {
			last = 0xE000 // surrogates are no characters
		}
		if last <= utf8.MaxRune {
			return prefix + string(last)
		}
	}
	return ""
}

// Order is the order of a list of rooms.
type Order uint8

const (
	ByID       Order = iota // ascending id
	ByActivity              // latest activity first, then ascending id
)

// RoomCursor is a place in a list of rooms: that of a room. The zero cursor is the
// start.
type RoomCursor struct {
	Active int64 // counts ByActivity
	Room   chat.RoomID
}

// UnreadWindow is how many of a room's newest messages are looked at to count what
// is unread. A user whose mark lies further back has at least what is counted.
const UnreadWindow = 1000

// Range is the messages of a room after From, up to and with To, as a user sees
// them.
type Range struct {
	Room     chat.RoomID
	User     chat.UserID
	From, To chat.Seq
	First    bool // find the first one as well
}

// Others is what is in a Range that the user has not written and that is not
// deleted.
type Others struct {
	Count int
	First chat.Seq // the number of the first; 0 if there are none, or it was not asked for
}

// OnlineEntry says that a node has noted a user online in a room.
type OnlineEntry struct {
	User chat.UserID
	Node string
}

// UserNodes says at which nodes a user is connected. There is no row of who is offline, nor
// while the host does not want to be told.
type UserNodes struct {
	User  chat.UserID
	Nodes string // names in ascending order, with line breaks between them
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
	Reactions []ReactionKey
	Emoji     []MessageRef // the different emoji under these messages
	UserRooms []UserRoomKey
	Users     []chat.UserID
	Removals  []chat.RoomID // rows of these rooms to remove next
	Access    []chat.UserID

	Devices      []chat.UserID // all devices of these users
	PushSettings []UserRoomKey
	PushJobs     []PushTopic // all jobs of these topics
	PushOwners   []string    // by digest
	UserNodes    []chat.UserID
}

// Empty reports whether nothing is needed.
func (n *Need) Empty() bool {
	return len(n.Rooms)+len(n.Members)+len(n.Keys)+len(n.Messages)+len(n.Reactions)+len(n.Emoji)+len(n.UserRooms)+len(n.Users)+len(n.Removals)+len(n.Access)+
		len(n.Devices)+len(n.PushSettings)+len(n.PushJobs)+len(n.PushOwners)+len(n.UserNodes) == 0
}

// State is what Load found. Messages found by key are in Messages too.
type State struct {
	Rooms     map[chat.RoomID]chat.Room
	Members   map[MemberKey]chat.Member
	Keys      map[MessageKey]chat.Seq
	Messages  map[MessageRef]chat.Message
	Reactions map[ReactionKey]bool          // true for those that stand
	Emoji     map[MessageRef]map[string]int // how many chose each; absent without any
	UserRooms map[UserRoomKey]UserRoom
	Users     map[chat.UserID]chat.User
	Removals  map[chat.RoomID]*Removal
	Access    map[chat.UserID]chat.Access

	Devices      map[chat.UserID][]chat.Device // by ascending id; absent without any
	PushSettings map[UserRoomKey]chat.PushSettings
	PushJobs     map[PushTopic][]PushJob // by ascending topic and device; absent without any
	PushOwners   map[string]PushOwner
	UserNodes    map[chat.UserID]UserNodes
}

// NewState returns an empty State with its maps made.
func NewState() *State {
	return &State{
		Rooms:     map[chat.RoomID]chat.Room{},
		Members:   map[MemberKey]chat.Member{},
		Keys:      map[MessageKey]chat.Seq{},
		Messages:  map[MessageRef]chat.Message{},
		Reactions: map[ReactionKey]bool{},
		Emoji:     map[MessageRef]map[string]int{},
		UserRooms: map[UserRoomKey]UserRoom{},
		Users:     map[chat.UserID]chat.User{},
		Removals:  map[chat.RoomID]*Removal{},
		Access:    map[chat.UserID]chat.Access{},

		Devices:      map[chat.UserID][]chat.Device{},
		PushSettings: map[UserRoomKey]chat.PushSettings{},
		PushJobs:     map[PushTopic][]PushJob{},
		PushOwners:   map[string]PushOwner{},
		UserNodes:    map[chat.UserID]UserNodes{},
	}
}

// Changes are the rows that one batch writes, each row at most once.
type Changes struct {
	Rooms     []chat.Room    // inserted or replaced
	Members   []chat.Member  // inserted or replaced
	Insert    []chat.Message // new
	Update    []chat.Message // Rev, Text, Data, Edited, Deleted, Mentions replaced
	Reactions []ReactionChange
	Unreact   []MessageRef  // messages whose reactions are all removed, after Reactions
	UserRooms []UserRoom    // inserted or replaced
	Users     []chat.User   // inserted or replaced
	Access    []chat.Access // inserted or replaced
	Online    []OnlineChange
	Removals  []*Removal
	Cursors   []Cursor // of different consumers

	Devices      []chat.Device       // inserted or replaced
	PushSettings []chat.PushSettings // inserted or replaced
	PushJobs     []PushJob           // inserted or replaced
	PushOwners   []PushOwner         // inserted or replaced
	UserNodes    []UserNodes         // inserted or replaced
	Delete       []RowKey            // of the five tables above

	Outbox []byte // Entry.Encode, for the position the commit moves to; nil: no entry
	Taken  *Taken // replaces what is stored of the lane that commits; nil: it stays

	// What moves between shards, after everything else and in this order.

	// Drop deletes rows by their keys. Those that do not exist are passed over, and a
	// key of no table is an error. A row goes alone: a message without its reactions.
	Drop []RowKey

	// Put inserts rows or replaces them in every column; nil: none. They are as
	// SlotRows or RowsByKey have returned them, so that no two messages have the same
	// room, author and key. A message with the room, author and key of a stored one
	// with another Seq replaces that one as well: it is of an earlier room of that
	// id, and the key may not stand twice.
	Put *Rows
}

// RemovalRows is how many rows one Removal names at most.
const RemovalRows = 250

// Removal is some of the rows of a room that is being removed, up to RemovalRows:
// those that are left of members first, then of reactions, messages and online
// entries. Without any, none are left.
type Removal struct {
	Room      chat.RoomID
	Members   []chat.Member // those that are in the room, have left, or are banned
	Reactions []ReactionKey
	From, To  chat.Seq // messages with these numbers; none if To is 0
	Online    []OnlineEntry
}

// Empty reports whether nothing is left to remove.
func (r *Removal) Empty() bool {
	return len(r.Members)+len(r.Reactions)+len(r.Online) == 0 && r.To == 0
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
