package change

import "github.com/roomtide/roomtide/chat"

// RoomSpec says how a room is made that does not exist yet.
type RoomSpec struct {
	Title    string
	Open     bool
	ReadOnly bool
	Archived bool
}

func (s *RoomSpec) fields(f *coder) {
	text(f, 1, &s.Title)
	flag(f, 2, &s.Open)
	flag(f, 3, &s.ReadOnly)
	flag(f, 4, &s.Archived)
}

// Join makes the user a member, and makes the room if there is none and Create
// says how. A member who joins again stays one, and gets Name with Rename.
//
// The engine makes it for its verb Join; all fields but Room are stamps.
//
// Replies Room, Member, Created, Changed. Errors: NotFound, Forbidden.
type Join struct {
	Room    chat.RoomID
	User    chat.UserID
	Name    string
	Avatar  string
	Rename  bool      // Name replaces that of the row, also if it is empty
	Granted bool      // a token or the host vouches for the user
	Create  *RoomSpec // how to make the room; nil: do not
	Own     bool      // the user who makes the room owns it
}

// Slot is the room's.
func (c *Join) Slot() chat.Slot { return c.Room.Slot() }

// Size implements Change.
func (c *Join) Size() int { return 256 + len(c.Name) + len(c.Avatar) }

// Kind implements Change.
func (c *Join) Kind() Kind { return KindJoin }

func (c *Join) fields(f *coder) {
	text(f, 1, &c.Room)
	text(f, 2, &c.User)
	text(f, 3, &c.Name)
	flag(f, 4, &c.Granted)
	message(f, 5, &c.Create, (*RoomSpec).fields)
	flag(f, 6, &c.Own)
	text(f, 7, &c.Avatar)
	flag(f, 8, &c.Rename)
}

// Leave ends a membership, if there is one.
//
// The client's request fills in Room.
//
// Replies Rev, Changed.
type Leave struct {
	Room chat.RoomID
	User chat.UserID
}

// Slot is the room's.
func (c *Leave) Slot() chat.Slot { return c.Room.Slot() }

// Size implements Change.
func (c *Leave) Size() int { return 256 }

// Kind implements Change.
func (c *Leave) Kind() Kind { return KindLeave }

func (c *Leave) fields(f *coder) {
	text(f, 1, &c.Room)
	text(f, 2, &c.User)
}

// SetMember puts a user into the room, changes the user's role, puts the user
// out (RoleNone), bans or mutes the user. RoleNone leaves a ban as it is, unless
// Unban says that it ends. A member has the role that is set, until it ends; Until is
// 0 for roles that do not end.
//
// The client's request fills in Room, User, Name, Data, Role, Until and Unban.
//
// Replies Rev, Member, Changed. Errors: NotFound, NotMember, Forbidden.
type SetMember struct {
	Room   chat.RoomID
	By     chat.UserID // the author of the change, whose role must allow it
	Server bool        // the host's back end: stands above all roles
	User   chat.UserID
	Name   *string // nil: stays, or Known for a user who comes in; empty: Known
	Data   *string // nil: stays
	Role   chat.Role
	Until  int64 // Unix milliseconds, 0: never
	Unban  bool  // with RoleNone: ends a ban as well

	// History says that members are not told of this one by one, as in Import.
	History bool

	// Known and Avatar are those of the user's profile. Where they are left out, the
	// row gets them a moment later (package projection).
	Known  string
	Avatar string
}

// Slot is the room's.
func (c *SetMember) Slot() chat.Slot { return c.Room.Slot() }

// Size implements Change.
func (c *SetMember) Size() int { return 512 + size(c.Data) }

// Kind implements Change.
func (c *SetMember) Kind() Kind { return KindSetMember }

func (c *SetMember) fields(f *coder) {
	text(f, 1, &c.Room)
	text(f, 2, &c.By)
	flag(f, 3, &c.Server)
	text(f, 4, &c.User)
	optional(f, 5, &c.Name, text[string])
	number(f, 6, &c.Role)
	optional(f, 7, &c.Data, text[string])
	number(f, 8, &c.Until)
	text(f, 9, &c.Known)
	text(f, 10, &c.Avatar)
	flag(f, 11, &c.Unban)
	flag(f, 12, &c.History)
}

// SetRoom changes a room, and makes it if there is none and Create is set. Nil
// fields stay as they are.
//
// The client's request fills in Room, Title, Open, ReadOnly, Archived, Topic,
// Avatar and Data.
//
// Replies Room, Rev, Created, Changed. Errors: NotFound, NotMember, Forbidden.
type SetRoom struct {
	Room     chat.RoomID
	By       chat.UserID // the author of the change, whose role must allow it; owns a room that is made
	Server   bool        // the host's back end: needs no role
	Create   *RoomSpec   // how to make the room, before the fields below; nil: do not
	Title    *string
	Open     *bool
	ReadOnly *bool
	Archived *bool
	Topic    *string
	Avatar   *string
	Data     *string
}

// Slot is the room's.
func (c *SetRoom) Slot() chat.Slot { return c.Room.Slot() }

// Size implements Change.
func (c *SetRoom) Size() int { return 1024 + size(c.Data) }

// Kind implements Change.
func (c *SetRoom) Kind() Kind { return KindSetRoom }

func (c *SetRoom) fields(f *coder) {
	text(f, 1, &c.Room)
	text(f, 2, &c.By)
	flag(f, 3, &c.Server)
	message(f, 4, &c.Create, (*RoomSpec).fields)
	optional(f, 5, &c.Title, text[string])
	optional(f, 6, &c.Open, flag)
	optional(f, 7, &c.ReadOnly, flag)
	optional(f, 8, &c.Archived, flag)
	optional(f, 13, &c.Topic, text[string])
	optional(f, 14, &c.Avatar, text[string])
	optional(f, 15, &c.Data, text[string])
}

// DeleteRoom deletes a room: from here on it does not exist. Its rows follow
// (RemoveRoom).
//
// The client's request fills in Room.
//
// Replies Rev, Changed. Errors: NotFound, NotMember, Forbidden.
type DeleteRoom struct {
	Room   chat.RoomID
	By     chat.UserID // the author of the change, whose role must allow it
	Server bool        // the host's back end: needs no role
}

// Slot is the room's.
func (c *DeleteRoom) Slot() chat.Slot { return c.Room.Slot() }

// Size implements Change.
func (c *DeleteRoom) Size() int { return 256 }

// Kind implements Change.
func (c *DeleteRoom) Kind() Kind { return KindDeleteRoom }

func (c *DeleteRoom) fields(f *coder) {
	text(f, 1, &c.Room)
	text(f, 2, &c.By)
	flag(f, 3, &c.Server)
}

// RemoveRoom removes some of the rows that are left of a deleted room, a bounded
// number. Nothing is left, or the room is not deleted, when the reply is not
// Changed.
//
// It is made from what a lane has committed, never from a request.
//
// Replies Changed.
type RemoveRoom struct {
	Room chat.RoomID
}

// Slot is the room's.
func (c *RemoveRoom) Slot() chat.Slot { return c.Room.Slot() }

// Size implements Change.
func (c *RemoveRoom) Size() int { return 64 << 10 }

// Kind implements Change.
func (c *RemoveRoom) Kind() Kind { return KindRemoveRoom }

func (c *RemoveRoom) fields(f *coder) { text(f, 1, &c.Room) }
