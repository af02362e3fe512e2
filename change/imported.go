package change

import "github.com/roomtide/roomtide/chat"

// Import puts messages of another system into a room, in the order given: each with the
// author and the time that it has there. It is an upsert: a message that is there
// becomes what the change says, and one that is so already stays.
//
// The engine makes it for its verb Import. The lane trusts all of it.
//
// Replies Rev, Imported (one for each message), Created, Changed. Errors: NotFound,
// Invalid, Busy (a room of that name is being deleted): then nothing was done.
type Import struct {
	Room   chat.RoomID
	Create *RoomSpec // how to make the room; nil: do not

	// History says that these are messages of the past. Members who are online are not
	// told one by one: they get a gap, and read what is new to them.
	History bool

	Messages []Imported
}

// Imported is a message as it is in the other system. The one that it is in the room
// has Seq, if that is set, or was written by User with Key.
type Imported struct {
	Seq     chat.Seq
	User    chat.UserID
	Name    string
	Key     string
	Text    string
	Data    []byte
	ReplyTo chat.Seq // counts for a new message
	ReplyIn int      // in place of ReplyTo: 1 for the first message of the change, and so on up to the one before; 0: none
	Time    int64    // Unix milliseconds; counts for a new message. 0: now
	Edited  int64    // Unix milliseconds, 0: never; or now, for a message that is changed by it
	Deleted bool     // a tombstone; Text and Data do not count
}

// ImportReply is what came of an Imported.
type ImportReply struct {
	Seq     chat.Seq // 0: the message to change does not exist
	Rev     chat.Rev // the last change of the message
	Created bool
	Changed bool
}

// Slot is the room's.
func (c *Import) Slot() chat.Slot { return c.Room.Slot() }

// Size implements Change.
func (c *Import) Size() int {
	n := 256
	for i := range c.Messages {
		n += 256 + len(c.Messages[i].Text) + len(c.Messages[i].Data)
	}
	return n
}

// Kind implements Change.
func (c *Import) Kind() Kind { return KindImport }

// MaxImported is how many messages an Import may hold.
const MaxImported = 1000

func (c *Import) fields(f *coder) {
	text(f, 1, &c.Room)
	message(f, 2, &c.Create, (*RoomSpec).fields)
	flag(f, 3, &c.History)
	repeated(f, 4, &c.Messages, MaxImported, (*Imported).fields)
}

func (m *Imported) fields(f *coder) {
	number(f, 1, &m.Seq)
	text(f, 2, &m.User)
	text(f, 3, &m.Name)
	text(f, 4, &m.Key)
	text(f, 5, &m.Text)
	data(f, 6, &m.Data)
	number(f, 7, &m.ReplyTo)
	number(f, 8, &m.Time)
	number(f, 9, &m.Edited)
	flag(f, 10, &m.Deleted)
	number(f, 11, &m.ReplyIn)
}

func (r *ImportReply) fields(f *coder) {
	number(f, 1, &r.Seq)
	number(f, 2, &r.Rev)
	flag(f, 3, &r.Created)
	flag(f, 4, &r.Changed)
}
