// Package change is the durable commands of Roomtide as plain data: what a lane
// decides and commits (package lane), and what a client's command becomes once
// the engine has checked it.
//
// A change knows the slot whose lane applies it, and says nothing of how. It can
// therefore be decided in this process, be forwarded to the node that owns the
// lane, wait in a queue, be imported or be written to an audit log; Append and
// Decode are its bytes, AppendReply and DecodeReply those of its outcome. Within
// a process a change is passed as a pointer and never encoded.
//
// # Ownership
//
// A change that was submitted belongs to the engine and the lane until its outcome
// is known: the caller neither modifies it nor writes to its Data.
//
// # Stamps
//
// The doc comment of each type says which fields the client's request fills in.
// The others are stamps: the engine fills them in from the identity of the
// speaker and from the configuration (engine.Submit). A lane trusts all of them.
//
// # Applying twice
//
// A change may be handed on again when its outcome was not heard. Applied once
// more right after itself, a change changes nothing and is answered with Changed
// unset (Repeated for a Send); only the answer to a change that took away its own
// author's rights is another one, a refusal. Two types need care: a Send without
// a Key is a new message each time, so it must not be handed on twice, and a
// change that is repeated behind another change of the same thing sets that thing
// back, as the last one that is applied wins.
package change

import "github.com/roomtide/roomtide/chat"

// A Change is one durable command: a pointer to one of the types of this package.
type Change interface {
	// Slot is the slot whose lane applies the change.
	Slot() chat.Slot

	// Size is about how many bytes the change holds while it waits. It bounds
	// queues and need not be exact.
	Size() int

	// Kind is the number of the type. It is the same for the lifetime of a change.
	Kind() Kind

	// fields visits each field with its number, in ascending order, to write it or
	// to read it (codec.go).
	fields(*coder)
}

// Kind numbers the types of changes. The numbers are written to queues and logs
// and sent to other nodes: the list is closed, append-only and never reordered,
// and a number that is not used any more is not given to another type.
type Kind uint8

// The kinds, one for each type of change.
const (
	KindNop            Kind = 1
	KindSend           Kind = 2
	KindEdit           Kind = 3
	KindDelete         Kind = 4
	KindReact          Kind = 5
	KindJoin           Kind = 6
	KindLeave          Kind = 7
	KindSetMember      Kind = 8
	KindSetRoom        Kind = 9
	KindRead           Kind = 10
	KindProject        Kind = 11
	KindOnline         Kind = 12
	KindCursors        Kind = 13
	KindSetUser        Kind = 14
	KindRename         Kind = 15
	KindDeleteRoom     Kind = 16
	KindRemoveRoom     Kind = 17
	KindAccess         Kind = 18
	KindRegisterDevice Kind = 19
	KindDropDevice     Kind = 20
	KindClaimAddress   Kind = 21
	KindSetPush        Kind = 22
	KindNotify         Kind = 23
	KindPushed         Kind = 24
	KindImport         Kind = 25
	KindConnected      Kind = 26
)

// Kinds is one more than the largest Kind; the kinds are 1 to Kinds-1.
const Kinds = 27

var kinds = [Kinds]struct {
	name string
	make func() Change
}{
	KindNop:            {"nop", func() Change { return new(Nop) }},
	KindSend:           {"send", func() Change { return new(Send) }},
	KindEdit:           {"edit", func() Change { return new(Edit) }},
	KindDelete:         {"delete", func() Change { return new(Delete) }},
	KindReact:          {"react", func() Change { return new(React) }},
	KindJoin:           {"join", func() Change { return new(Join) }},
	KindLeave:          {"leave", func() Change { return new(Leave) }},
	KindSetMember:      {"set_member", func() Change { return new(SetMember) }},
	KindSetRoom:        {"set_room", func() Change { return new(SetRoom) }},
	KindRead:           {"read", func() Change { return new(Read) }},
	KindProject:        {"project", func() Change { return new(Project) }},
	KindOnline:         {"online", func() Change { return new(Online) }},
	KindCursors:        {"cursors", func() Change { return new(Cursors) }},
	KindSetUser:        {"set_user", func() Change { return new(SetUser) }},
	KindRename:         {"rename", func() Change { return new(Rename) }},
	KindDeleteRoom:     {"delete_room", func() Change { return new(DeleteRoom) }},
	KindRemoveRoom:     {"remove_room", func() Change { return new(RemoveRoom) }},
	KindAccess:         {"access", func() Change { return new(Access) }},
	KindRegisterDevice: {"register_device", func() Change { return new(RegisterDevice) }},
	KindDropDevice:     {"drop_device", func() Change { return new(DropDevice) }},
	KindClaimAddress:   {"claim_address", func() Change { return new(ClaimAddress) }},
	KindSetPush:        {"set_push", func() Change { return new(SetPush) }},
	KindNotify:         {"notify", func() Change { return new(Notify) }},
	KindPushed:         {"pushed", func() Change { return new(Pushed) }},
	KindImport:         {"import", func() Change { return new(Import) }},
	KindConnected:      {"connected", func() Change { return new(Connected) }},
}

// String is the name of the kind in logs.
func (k Kind) String() string {
	if k == 0 || k >= Kinds {
		return "unknown"
	}
	return kinds[k].name
}

// New returns an empty change of the kind, nil if there is no such kind.
func New(k Kind) Change {
	if k == 0 || k >= Kinds {
		return nil
	}
	return kinds[k].make()
}

// Done receives the outcome of a change, once: from the goroutine of the lane
// behind the commit, or from the submitting goroutine if the change was refused
// at once. It must not block.
type Done func(Reply, error)
