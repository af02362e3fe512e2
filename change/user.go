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
// user who was not in the room starts with everything up to Seq read.
//
// It is made from what a lane has committed, never from a request.
//
// Replies Read, Changed.
type Project struct {
	Member chat.Member
	Seq    chat.Seq // the room's newest message when the row was written
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
}
