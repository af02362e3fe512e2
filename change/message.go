package change

import "github.com/roomtide/roomtide/chat"

// Send writes a message. With a key that the user has used in the room before,
// it is answered as the first attempt was (Repeated), or with Conflict if the
// draft is another one. The draft has passed its Check.
//
// The client's request fills in Room and Draft, and Name if it is one of the host's
// back end.
//
// Replies Seq, Rev, Time. Errors: NotFound, NotMember, Forbidden, Conflict,
// Invalid (ReplyTo names no message).
type Send struct {
	Room   chat.RoomID
	User   chat.UserID
	Server bool // the host's back end: needs no membership
	Draft  chat.Draft

	// Name is the author's display name for this message; empty: that of the member
	// row, and Known where that has none or there is no such row.
	Name  string
	Known string

	// Accepted runs when the message is in a durable queue and waits there to be decided;
	// nil: the caller does not want to know. Done may run meanwhile. It runs once more if the
	// message goes on to the queue of another lane. It must not block. It is the caller's
	// own, and not carried to other nodes.
	Accepted func(Queued)
}

// Queued says where a message waits that a durable queue has accepted. It is decided when
// its lane has taken the entry (store.Taken).
type Queued struct {
	Lane  int
	Entry uint64 // number in the lane's queue
	Key   string // of the message; one was given to it if its sender gave none
}

// Slot is the room's.
func (c *Send) Slot() chat.Slot { return c.Room.Slot() }

// Size implements Change.
func (c *Send) Size() int { return 256 + len(c.Draft.Text) + len(c.Draft.Data) + len(c.Name) }

// Kind implements Change.
func (c *Send) Kind() Kind { return KindSend }

func (c *Send) fields(f *coder) {
	text(f, 1, &c.Room)
	text(f, 2, &c.User)
	flag(f, 3, &c.Server)
	text(f, 4, &c.Draft.Text)
	text(f, 5, &c.Draft.Key)
	number(f, 6, &c.Draft.ReplyTo)
	data(f, 7, &c.Draft.Data)
	text(f, 8, &c.Name)
	text(f, 9, &c.Known)
	texts(f, 10, &c.Draft.Mentions, chat.MaxMentions)
}

// Edit replaces a message's text and data. A message that has them already stays
// as it is.
//
// The client's request fills in Room, Seq, Text and Data.
//
// Replies Seq, Rev. Errors: NotFound (also for a deleted message), NotMember,
// Forbidden.
type Edit struct {
	Room   chat.RoomID
	Seq    chat.Seq
	User   chat.UserID
	Server bool // the host's back end: needs no membership, and edits any message
	Text   string
	Data   []byte // nil: stays
}

// Slot is the room's.
func (c *Edit) Slot() chat.Slot { return c.Room.Slot() }

// Size implements Change.
func (c *Edit) Size() int { return 256 + len(c.Text) + len(c.Data) }

// Kind implements Change.
func (c *Edit) Kind() Kind { return KindEdit }

func (c *Edit) fields(f *coder) {
	text(f, 1, &c.Room)
	number(f, 2, &c.Seq)
	text(f, 3, &c.User)
	flag(f, 4, &c.Server)
	text(f, 5, &c.Text)
	data(f, 6, &c.Data)
}

// Delete makes a message a tombstone: its number and sender stay, its text, data
// and reactions do not. A tombstone stays as it is.
//
// The client's request fills in Room and Seq.
//
// Replies Seq, Rev. Errors: NotFound, NotMember, Forbidden.
type Delete struct {
	Room   chat.RoomID
	Seq    chat.Seq
	User   chat.UserID
	Server bool // the host's back end: needs no membership, and deletes any message
}

// Slot is the room's.
func (c *Delete) Slot() chat.Slot { return c.Room.Slot() }

// Size implements Change.
func (c *Delete) Size() int { return 256 }

// Kind implements Change.
func (c *Delete) Kind() Kind { return KindDelete }

func (c *Delete) fields(f *coder) {
	text(f, 1, &c.Room)
	number(f, 2, &c.Seq)
	text(f, 3, &c.User)
	flag(f, 4, &c.Server)
}

// React puts the user's reaction under a message (On), or takes it away. A
// reaction that is there, or gone, stays so.
//
// The client's request fills in Room, Seq, Emoji and On.
//
// Replies Seq, Rev. Errors: NotFound (also for a deleted message), NotMember,
// TooLarge (too many different emoji).
type React struct {
	Room   chat.RoomID
	Seq    chat.Seq
	User   chat.UserID
	Server bool // the host's back end: needs no membership
	Emoji  string
	On     bool
}

// Slot is the room's.
func (c *React) Slot() chat.Slot { return c.Room.Slot() }

// Size implements Change.
func (c *React) Size() int { return 256 }

// Kind implements Change.
func (c *React) Kind() Kind { return KindReact }

func (c *React) fields(f *coder) {
	text(f, 1, &c.Room)
	number(f, 2, &c.Seq)
	text(f, 3, &c.User)
	flag(f, 4, &c.Server)
	text(f, 5, &c.Emoji)
	flag(f, 6, &c.On)
}
