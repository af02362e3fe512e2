// Package hostevents turns what lanes committed into events for the host's back end: a
// message with its text and author, a membership, a room. Webhooks deliver them, and a
// back end may read them by itself.
//
// It takes two steps. Of finds in an entry of the outbox what events there are, without
// any I/O: a Ref is small, and may wait. Load reads what they are about when they are to
// be sent.
//
// An event tells that something happened, and shows it as it is when it is loaded: of a
// message that was edited since, the new text; of one that was deleted, that it is. What
// can be relied on is its id, which is the same however often the event is loaded, and its
// rev, by which the events of a room are ordered and to which a rev of the client
// protocol corresponds.
package hostevents

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/wire"
)

// Ref is an event that was not loaded yet.
type Ref struct {
	Kind Kind
	Room chat.RoomID
	Rev  chat.Rev
	Time int64    // Unix milliseconds; 0 in entries of old versions
	Seq  chat.Seq // the message it is about, 0 if none

	// Member is the row after the change, of events about members alone; without Avatar,
	// Data and Until, which Load adds if it has not changed again.
	Member *chat.Member

	// Fact is what events of users are about; Rev is not theirs then, but the place of the
	// fact in the entry, whose position is Position. Room is that of the notification.
	Fact     *store.UserFact `json:",omitempty"`
	Position int64           `json:",omitempty"`
}

// Stream names what the event is in order with: its room, or the user it is about.
func (r *Ref) Stream() string {
	if r.Fact != nil {
		return string(r.Fact.User)
	}
	return string(r.Room)
}

// Slot is that of what names the event's stream.
func (r *Ref) Slot() chat.Slot {
	if r.Fact != nil {
		return r.Fact.User.Slot()
	}
	return r.Room.Slot()
}

// Size is about how many bytes a Ref takes.
func (r *Ref) Size() int {
	n := 96 + len(r.Room)
	if r.Member != nil {
		n += r.Member.Size()
	}
	if r.Fact != nil {
		n += 256 + len(r.Fact.User)
	}
	return n
}

// Of returns the events of an entry that want lets pass, those of each room in the order of
// their revs, those of each user in the order in which they happened. An entry of an old version that does not say what its revs are has those of
// members alone.
//
// A member who joined and changed in one commit is one event, with the last state; one who
// joined and left in one commit, or whose row was removed long after they had left, is none.
// Nor is what was put into a room as its past (store.Run.History).
func Of(e *store.Entry, want func(Kind, chat.RoomID) bool) []Ref {
	var refs []Ref
	for i := range e.Rooms {
		refs = appendRoom(refs, e, &e.Rooms[i], want)
	}
	for i := range e.Facts {
		f := &e.Facts[i]
		r := Ref{Kind: factKind(f.Kind), Rev: chat.Rev(i + 1), Time: e.Time, Fact: f, Position: e.Position}
		if f.Push != nil {
			r.Room = f.Push.Room
		}
		if r.Kind != "" && want(r.Kind, r.Room) {
			refs = append(refs, r)
		}
	}
	return refs
}

func appendRoom(refs []Ref, e *store.Entry, s *store.RoomSpan, want func(Kind, chat.RoomID) bool) []Ref {
	members := make(map[chat.Rev][]int, len(s.Members)) // by the rev of their rows
	for i := range s.Members {
		members[s.Members[i].Rev] = append(members[s.Members[i].Rev], i)
	}
	add := func(rev chat.Rev) {
		for _, i := range members[rev] {
			if kind := memberKind(s, i); kind != "" && want(kind, s.Room) {
				refs = append(refs, Ref{Kind: kind, Room: s.Room, Rev: rev, Time: e.Time, Member: &s.Members[i]})
			}
		}
		delete(members, rev)
	}
	for c := range s.Changes() {
		if c.History {
			delete(members, c.Rev)
			continue
		}
		if kind := kindOf(c.Kind); kind != "" && want(kind, s.Room) {
			refs = append(refs, Ref{Kind: kind, Room: s.Room, Rev: c.Rev, Time: e.Time, Seq: c.Seq})
		}
		add(c.Rev)
	}
	for i := range s.Members { // of changes that are not numbered in this entry
		add(s.Members[i].Rev)
	}
	return refs
}

// ID returns the id of the event in the deployment: the same whenever it is asked for,
// and that of no other event, of another deployment either.
func (r *Ref) ID(deployment string) string {
	user := chat.UserID("")
	if r.Member != nil {
		user = r.Member.User
	}
	if r.Fact != nil {
		user = r.Fact.User
	}
	h := sha256.New()
	for _, s := range []string{deployment, string(r.Kind), string(r.Room), string(user)} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
		h.Write([]byte(s))
	}
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(r.Rev)))
	if r.Fact != nil { // a user has no rev: positions are those of a shard, which may be another one later
		h.Write(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(r.Position)), uint64(r.Time)))
	}
	return "evt_" + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}

// Event is something that happened, as a host hears of it.
type Event struct {
	Ref
	ID string

	// What the event is about, by its kind. Rev in it is that of the event, though it may
	// show what has changed since.
	Message *chat.Message // of messages; Reactions of ReactionChanged alone
	Info    *chat.Room    // of RoomChanged
}

// AppendJSON appends the event as docs/webhooks.md describes it:
//
//	{"type":"message.created","id":"evt_…","timestamp":"2026-01-02T15:04:05.000Z","data":{…}}
func (e *Event) AppendJSON(dst []byte) []byte {
	dst = append(wire.AppendHead(dst, string(e.Kind), e.ID, e.Time), `,"data":`...)
	switch {
	case e.Fact != nil && e.Fact.Push != nil:
		dst = wire.AppendDeadPush(dst, e.Fact.Push)
	case e.Fact != nil:
		dst = wire.AppendUser(dst, e.Fact.User)
	case e.Kind == ReactionChanged:
		dst = wire.AppendReactions(dst, e.Message)
	case e.Message != nil:
		dst = wire.AppendMessage(dst, e.Message)
	case e.Member != nil:
		dst = wire.AppendMember(dst, e.Member)
	default:
		dst = wire.AppendRoom(dst, e.Info)
	}
	return append(dst, '}')
}
