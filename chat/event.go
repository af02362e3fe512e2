package chat

import (
	"cmp"
	"slices"
)

// EventKind says what happened. The durable kinds carry a Rev; the others are
// told to who is there and forgotten.
type EventKind uint8

const (
	EventMessage  EventKind = iota + 1 // durable: Message
	EventEdited                        // durable: Message
	EventDeleted                       // durable: Message (a tombstone)
	EventReacted                       // durable: Seq, User, Emoji, On
	EventMember                        // durable: Member (RoleNone: left)
	EventRoom                          // durable: Info
	EventPresence                      // Presence
	EventTyping                        // User, On
	EventRead                          // User, Seq
	EventMembers                       // durable: First, Count; joins of a large room, told together
)

// Durable reports whether events of this kind are numbered and stored.
func (k EventKind) Durable() bool {
	return k >= EventMessage && k <= EventRoom || k == EventMembers
}

// Event is something that happened in a room. Which fields are set depends on
// Kind. An event and what it points to is read-only once published: it is
// shared by every receiver.
type Event struct {
	Kind EventKind
	Room RoomID
	Rev  Rev // 0 unless Kind is durable

	First Rev // the event stands for the changes First..Rev; 0: for Rev alone
	Count int // members now

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

// Presence tells who came online in a room and who went. In a room with many
// people online only the count is told.
type Presence struct {
	Online int // users online in the room now
	Came   []UserID
	Went   []UserID
}

// Delta is the state of everything in a room that changed after a rev: each
// message and member once, as it is now. Applying it brings a client that had
// After to Rev.
type Delta struct {
	Room     Room
	After    Rev
	Rev      Rev       // complete up to here; equals Room.Rev unless More
	Messages []Message // ascending Rev
	Members  []Member  // ascending Rev
	Info     bool      // Room's title or policy changed after After
	More     bool      // ask again with After = Rev
}

// Events turns the delta into events in ascending rev, for a client that had
// since. Only the newest state of everything is known: a message that was written
// after since comes as written, whatever became of it later; an older one comes
// as edited, whole, also when it only got a reaction.
func (d *Delta) Events(since Rev) []*Event {
	evs := make([]*Event, 0, len(d.Messages)+len(d.Members)+1)
	for i := range d.Messages {
		m := &d.Messages[i]
		kind := EventEdited
		switch {
		case m.Deleted:
			kind = EventDeleted
		case m.Created > since:
			kind = EventMessage
		}
		evs = append(evs, &Event{Kind: kind, Room: d.Room.ID, Rev: m.Rev, Message: m})
	}
	for i := range d.Members {
		m := &d.Members[i]
		evs = append(evs, &Event{Kind: EventMember, Room: d.Room.ID, Rev: m.Rev, Member: m})
	}
	if d.Info && d.Room.InfoRev <= d.Rev {
		evs = append(evs, &Event{Kind: EventRoom, Room: d.Room.ID, Rev: d.Room.InfoRev, Info: &d.Room})
	}
	slices.SortStableFunc(evs, func(a, b *Event) int { return cmp.Compare(a.Rev, b.Rev) })
	return evs
}
