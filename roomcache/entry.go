package roomcache

import (
	"container/list"
	"slices"

	"github.com/roomtide/roomtide/chat"
)

// About what an entry and a row in it take beside their texts.
const (
	entryBytes  = 400
	memberBytes = 150
)

// entry is what is kept of a room. Guarded by the mutex of its lane.
type entry struct {
	// Set once.
	id      chat.RoomID
	version int64 // of the slot map by which its lane was found
	place   *list.Element

	gone  bool // dropped: no event is applied any more
	known bool // room was read
	bytes int

	// Everything below is as of room.Rev or newer.
	room    chat.Room
	members map[chat.UserID]chat.Member // that are present
	first   *firstMembers               // nil: not read
	newest  *newest                     // nil: not read
}

// firstMembers are members that are present, by ascending id.
type firstMembers struct {
	list  []chat.Member
	whole bool // there are no others
	bytes int
}

// newest are the last messages of the room, ascending.
type newest struct {
	list  []chat.Message
	more  bool // there are older ones
	bytes int
}

// follow applies an event of the room; false: the entry is to be dropped.
func (e *entry) follow(ev *chat.Event) bool {
	switch {
	case ev.Rev <= e.room.Rev: // it was in what was read, or is not durable
		return true
	case ev.After() != e.room.Rev:
		return false
	}
	switch ev.Kind {
	case chat.EventMessage:
		e.room.LastSeq, e.room.Active = ev.Message.Seq, ev.Message.Time
		e.append(ev.Message)
	case chat.EventEdited, chat.EventDeleted, chat.EventReacted:
		e.dropNewest()
	default:
		return false
	}
	e.room.Rev = ev.Rev
	return true
}

// append adds a new message to the newest ones, unless they were read after it was
// committed.
func (e *entry) append(m *chat.Message) {
	n := e.newest
	if n == nil || len(n.list) > 0 && m.Seq <= n.list[len(n.list)-1].Seq {
		return
	}
	size := m.Size()
	n.list = append(n.list, *m)
	n.bytes += size
	e.bytes += size
	cut := 0
	for ; len(n.list)-cut > pageMessages || n.bytes > pageBytes; cut++ {
		size := n.list[cut].Size()
		n.bytes -= size
		e.bytes -= size
		n.more = true
	}
	n.list = slices.Delete(n.list, 0, cut)
}

// setRoom fills in the room.
func (e *entry) setRoom(r *chat.Room) {
	e.known, e.room = true, *r
	e.bytes += r.Size()
}

// setMember adds a member that is present.
func (e *entry) setMember(m *chat.Member) {
	if _, has := e.members[m.User]; has || e.bytes > roomBytes {
		return
	}
	if e.members == nil {
		e.members = map[chat.UserID]chat.Member{}
	}
	e.members[m.User] = *m
	e.bytes += m.Size() + memberBytes
}

// setFirst replaces the first members by more of them.
func (e *entry) setFirst(f *firstMembers) {
	if e.bytes+f.bytes > roomBytes || e.first != nil && (e.first.whole || len(e.first.list) >= len(f.list)) {
		return
	}
	if e.first != nil {
		e.bytes -= e.first.bytes
	}
	e.first = f
	e.bytes += f.bytes
}

// setNewest replaces the newest messages by more of them.
func (e *entry) setNewest(n *newest) {
	if len(n.list) > pageMessages || n.bytes > pageBytes || e.newest != nil && len(e.newest.list) >= len(n.list) {
		return
	}
	e.dropNewest()
	e.newest = n
	e.bytes += n.bytes
}

func (e *entry) dropNewest() {
	if e.newest != nil {
		e.bytes -= e.newest.bytes
		e.newest = nil
	}
}
