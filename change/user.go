package change

import "github.com/roomtide/roomtide/chat"

// Read moves the user's read mark of a room forward; marks never go back. Seq is
// not beyond the room's newest message: the engine, which makes it for its verb
// Read, sees to that.
//
// Replies Read, Changed.
type Read struct {
	User chat.UserID
	Room chat.RoomID
	Seq  chat.Seq
}

// Slot is the user's.
func (c *Read) Slot() chat.Slot { return c.User.Slot() }

// Size implements Change.
func (c *Read) Size() int { return 128 }

// Kind implements Change.
func (c *Read) Kind() Kind { return KindRead }

func (c *Read) fields(f *coder) {
	text(f, 1, &c.User)
	text(f, 2, &c.Room)
	number(f, 3, &c.Seq)
}

// Project brings the user's side of a membership up to the member row. It may
// come late, out of order and more than once: the row with the higher Rev wins. A
// user who was not in the room starts with everything up to Seq read, and the mark
// of one who is out of it is not beyond Seq: it would be in a deleted room.
//
// It is made from what a lane has committed, never from a request.
//
// Replies Read, Changed.
type Project struct {
	Member chat.Member
	Seq    chat.Seq // the room's newest message when the row was written
	Floor  chat.Rev // what the user had up to here was of a room that is gone
}

// Slot is the user's.
func (c *Project) Slot() chat.Slot { return c.Member.User.Slot() }

// Size implements Change.
func (c *Project) Size() int { return 128 }

// Kind implements Change.
func (c *Project) Kind() Kind { return KindProject }

func (c *Project) fields(f *coder) {
	nested(f, 1, &c.Member, memberFields)
	number(f, 2, &c.Seq)
	number(f, 3, &c.Floor)
}

// SetUser changes what is known of a user in all rooms. Nil fields stay as they
// are. The member rows follow: each change of Name or Avatar reaches them as Rename.
//
// The client's request fills in User, Name, Avatar and Data.
//
// Replies User, Changed.
type SetUser struct {
	User   chat.UserID
	Name   *string
	Avatar *string
	Data   *string

	// At is when the host said so (Unix milliseconds). What a token says is dropped
	// if something newer was said of the user.
	At      int64
	ByToken bool
}

// Slot is the user's.
func (c *SetUser) Slot() chat.Slot { return c.User.Slot() }

// Size implements Change.
func (c *SetUser) Size() int { return 1024 + size(c.Data) }

// Kind implements Change.
func (c *SetUser) Kind() Kind { return KindSetUser }

func (c *SetUser) fields(f *coder) {
	text(f, 1, &c.User)
	optional(f, 2, &c.Name, text[string])
	optional(f, 3, &c.Avatar, text[string])
	optional(f, 4, &c.Data, text[string])
	number(f, 5, &c.At)
	flag(f, 6, &c.ByToken)
}

// Rename gives the member row of a user in a room the display name and the avatar
// of the user's profile. It does nothing unless the user is a member of the room.
//
// It is made from what a lane has committed, never from a request.
//
// Replies Rev, Changed.
type Rename struct {
	Room   chat.RoomID
	User   chat.UserID
	Name   string
	Avatar string
}

// Slot is the room's.
func (c *Rename) Slot() chat.Slot { return c.Room.Slot() }

// Size implements Change.
func (c *Rename) Size() int { return 256 + len(c.Name) + len(c.Avatar) }

// Kind implements Change.
func (c *Rename) Kind() Kind { return KindRename }

func (c *Rename) fields(f *coder) {
	text(f, 1, &c.Room)
	text(f, 2, &c.User)
	text(f, 3, &c.Name)
	text(f, 4, &c.Avatar)
}

// size is the number of bytes of an optional text.
func size(s *string) int {
	if s == nil {
		return 0
	}
	return len(*s)
}

// Connected says that a user is connected at a node, or no longer is. The first node of a
// user makes the fact that the user is online, the last one that of being offline
// (store.UserFact). Package attendance makes it.
//
// Replies Changed.
type Connected struct {
	User chat.UserID
	Node string
	On   bool
}

// Slot is the user's.
func (c *Connected) Slot() chat.Slot { return c.User.Slot() }

// Size implements Change.
func (c *Connected) Size() int { return 128 }

// Kind implements Change.
func (c *Connected) Kind() Kind { return KindConnected }

func (c *Connected) fields(f *coder) {
	text(f, 1, &c.User)
	text(f, 2, &c.Node)
	flag(f, 3, &c.On)
}
