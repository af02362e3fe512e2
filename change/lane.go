package change

import "github.com/roomtide/roomtide/chat"

// Online records users who are online in rooms of one lane, for the answer of
// last resort to "who is online" (store.RoomReader.Online). Nodes make it.
//
// Replies Changed.
type Online struct {
	At      chat.Slot // any slot of the lane
	Changes []OnlineChange
}

// OnlineChange records that a node has the user online in the room, or no longer
// has. A Room of "" with On unset removes every entry of the node in the lane.
type OnlineChange struct {
	Room chat.RoomID
	User chat.UserID
	Node string
	On   bool
}

// maxOnlineChanges is how many changes a decoded Online may hold. An empty one
// has two bytes, and far more in memory.
const maxOnlineChanges = 4096

func (c *OnlineChange) fields(f *coder) {
	text(f, 1, &c.Room)
	text(f, 2, &c.User)
	text(f, 3, &c.Node)
	flag(f, 4, &c.On)
}

// Slot is At.
func (c *Online) Slot() chat.Slot { return c.At }

// Size implements Change.
func (c *Online) Size() int { return 128 * len(c.Changes) }

// Kind implements Change.
func (c *Online) Kind() Kind { return KindOnline }

func (c *Online) fields(f *coder) {
	slot(f, 1, &c.At)
	repeated(f, 2, &c.Changes, maxOnlineChanges, (*OnlineChange).fields)
}

// Cursors records how far consumers of the lane's outbox have worked. Entries
// that every consumer has passed are deleted with it.
//
// Replies Changed.
type Cursors struct {
	At      chat.Slot // any slot of the lane
	Cursors []Cursor
}

// Cursor is the position up to which a consumer has worked.
type Cursor struct {
	Consumer string
	Position int64
	Drop     bool // deletes the consumer's cursor instead of setting it
}

// maxCursors is how many cursors a decoded Cursors may hold.
const maxCursors = 1024

func (c *Cursor) fields(f *coder) {
	text(f, 1, &c.Consumer)
	number(f, 2, &c.Position)
	flag(f, 3, &c.Drop)
}

// Slot is At.
func (c *Cursors) Slot() chat.Slot { return c.At }

// Size implements Change.
func (c *Cursors) Size() int { return 64 * len(c.Cursors) }

// Kind implements Change.
func (c *Cursors) Kind() Kind { return KindCursors }

func (c *Cursors) fields(f *coder) {
	slot(f, 1, &c.At)
	repeated(f, 2, &c.Cursors, maxCursors, (*Cursor).fields)
}

// Nop changes nothing. Its outcome says that everything that was submitted to
// the lane before it has been decided.
type Nop struct {
	At chat.Slot // any slot of the lane
}

// Slot is At.
func (c *Nop) Slot() chat.Slot { return c.At }

// Size implements Change.
func (c *Nop) Size() int { return 0 }

// Kind implements Change.
func (c *Nop) Kind() Kind { return KindNop }

func (c *Nop) fields(f *coder) { slot(f, 1, &c.At) }
