package chat

// EventKind says what happened in a room. The numbers are stable and the list is
// append-only. What is known of a kind stands in the table eventKinds and nowhere
// else: a new kind is a constant, a line of the table and, if no kind so far
// carries the same, a Payload.
type EventKind uint8

const (
	EventMessage  EventKind = iota + 1 // a message was written
	EventEdited                        // its text was replaced
	EventDeleted                       // it became a tombstone
	EventReacted                       // a reaction was added or taken back
	EventMember                        // a membership began, changed or ended (RoleNone)
	EventRoom                          // title or policy of the room changed
	EventPresence                      // users came online or went offline
	EventTyping                        // a user began or stopped typing
	EventRead                          // a user's read mark advanced
	EventMembers                       // joins of a large room, merged into one event
)

// Payload says which fields of an Event a kind sets besides Kind, Room and, if the
// kind is durable, Rev. Encoders and decoders are written per payload.
type Payload uint8

const (
	PayloadMessage   Payload = iota + 1 // Message
	PayloadTombstone                    // Message, of which Seq and User count
	PayloadReaction                     // Seq, User, Emoji, On
	PayloadMember                       // Member
	PayloadRoom                         // Info
	PayloadPresence                     // Presence
	PayloadTyping                       // User, On
	PayloadRead                         // User, Seq, Own, Count and More
	PayloadMembers                      // First, Count
)

// eventKinds is the table of event kinds. A durable event is a numbered change of
// the room: it bears a Rev and can be read again later. An ephemeral one reaches
// the connections that are open at the time and is not stored.
var eventKinds = [...]struct {
	name    string // on the wire, on every transport
	durable bool
	payload Payload
}{
	EventMessage:  {"message", durable, PayloadMessage},
	EventEdited:   {"edited", durable, PayloadMessage},
	EventDeleted:  {"deleted", durable, PayloadTombstone},
	EventReacted:  {"reacted", durable, PayloadReaction},
	EventMember:   {"member", durable, PayloadMember},
	EventRoom:     {"room", durable, PayloadRoom},
	EventPresence: {"presence", ephemeral, PayloadPresence},
	EventTyping:   {"typing", ephemeral, PayloadTyping},
	EventRead:     {"read", ephemeral, PayloadRead},
	EventMembers:  {"members", durable, PayloadMembers},
}

const (
	durable   = true
	ephemeral = false
)

// EventKinds returns all kinds in ascending order.
func EventKinds() []EventKind {
	kinds := make([]EventKind, 0, len(eventKinds)-1)
	for k := 1; k < len(eventKinds); k++ {
		kinds = append(kinds, EventKind(k))
	}
	return kinds
}

// ParseEventKind is the reverse of String; ok is false for an unknown name.
func ParseEventKind(name string) (k EventKind, ok bool) {
	for k := 1; k < len(eventKinds); k++ {
		if eventKinds[k].name == name {
			return EventKind(k), true
		}
	}
	return 0, false
}

// String is the name of the kind on the wire, empty for a kind that is not in the
// table.
func (k EventKind) String() string {
	if int(k) < len(eventKinds) {
		return eventKinds[k].name
	}
	return ""
}

// Durable reports whether events of this kind bear a Rev and are stored.
func (k EventKind) Durable() bool { return int(k) < len(eventKinds) && eventKinds[k].durable }

// Payload returns what events of this kind carry, 0 for a kind that is not in the
// table.
func (k EventKind) Payload() Payload {
	if int(k) < len(eventKinds) {
		return eventKinds[k].payload
	}
	return 0
}

// Event is something that happened in a room. Which fields are set depends on the
// Payload of its Kind. An event and what it points to is read-only once published:
// it is shared by every receiver.
type Event struct {
	Kind EventKind
	Room RoomID
	Rev  Rev // 0 unless Kind is durable

	First Rev  // the event stands for the changes First..Rev; 0: for Rev alone
	Count int  // members now; of a read mark: what is unread behind it
	More  bool // there may be more than Count

	Own bool // for the connections of User alone

	Message  *Message
	Member   *Member
	Info     *Room
	Presence *Presence

	Seq   Seq
	User  UserID
	Emoji string
	On    bool
}

// After is the rev that a client must have for the event to be the next one.
func (e *Event) After() Rev {
	if e.First > 0 {
		return e.First - 1
	}
	return e.Rev - 1
}

// Presence is a change of a room's users online. In a room with many users online
// it holds the count alone.
type Presence struct {
	Online   int // users online in the room now
	Came     []UserID
	Went     []UserID
	Degraded bool // see Online
}

// Online is the users that are online in a room.
type Online struct {
	Users    []UserID // in ascending order, the first page
	Count    int      // of all
	Degraded bool     // what keeps presence does not answer: they may be half a minute old, and users missing
}
