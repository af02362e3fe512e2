package store

import (
	"iter"
	"slices"

	"github.com/roomtide/roomtide/chat"
)

// Entry is what one commit tells the consumers of the outbox. Position is the
// lane's position after that commit; it is not part of the encoded form.
type Entry struct {
	Position int64
	Time     int64 // of the changes: Unix milliseconds, as stored in rows; 0 in entries of old versions
	Rooms    []RoomSpan
	Users    []chat.UserID // users whose name or avatar has changed

	// Keys are the rows of slots that move which the commit has written or deleted,
	// for package mover. The key of a reaction without emoji and user means all
	// reactions of the message, that of an online entry without room and user all
	// entries of the node.
	Keys []RowKey

	// Onward are changes that follow from the commit, for whatever lanes they belong to
	// (change.Append). A consumer hands each on; they may be applied more than once.
	Onward [][]byte

	// Facts are what the host may want to hear of users, in order.
	Facts []UserFact

	// Flips are marks of slots that pass to another shard.
	Flips []Flip
}

// Flip marks, in the outboxes of two shards, where entries of slots end in the one and begin in
// the other. Slots may be marked and stay where they are; they pass behind the last marks.
type Flip struct {
	Slots SlotSet
	From  string // name of the shard that they leave

	// Position is, in the outbox of the shard that they come to, that of the mark in the outbox of
	// From. It is 0 in that mark itself, which is behind all entries of the slots.
	Position int64
}

// Leaves reports whether slots leave the shard, so that consumers elsewhere may wait until the
// entry is worked on.
func (e *Entry) Leaves() bool {
	return slices.ContainsFunc(e.Flips, func(f Flip) bool { return f.Position == 0 })
}

// UserFact is something that a commit has found out about a user.
type UserFact struct {
	Kind FactKind
	User chat.UserID
	Push *chat.DeadPush // of FactPushDead; its User is this one
}

// FactKind numbers the kinds of facts, as they are stored.
type FactKind uint8

const (
	FactOnline   FactKind = 1 // the user is connected, and was not before
	FactOffline  FactKind = 2 // the user's last connection has ended
	FactPushDead FactKind = 3 // a notification was given up
)

// RoomSpan is what one commit changed in a room: the revs From..To, none if To is
// From - 1. A deleted room that is made again goes on with its revs, and begins with message 1.
type RoomSpan struct {
	Room    chat.RoomID
	From    chat.Rev
	To      chat.Rev
	Seq     chat.Seq      // the room's newest message after the commit; 0 if it is deleted
	Runs    []Run         // what the revs are, in order; none in entries of old versions
	Members []chat.Member // member rows after the commit, each of those that changed, without Avatar, Data and Until
	Was     []chat.Role   // the role of each of Members before the commit; none in entries of old versions
}

// Raise replaces every rev of the entry by Raised, as a restore does. Position stays.
func (e *Entry) Raise(from, to chat.Rev) {
	for i := range e.Rooms {
		s := &e.Rooms[i]
		revs := s.To - s.From
		s.From = Raised(s.From, from, to)
		s.To = s.From + revs
		for j := range s.Members {
			s.Members[j].Rev = Raised(s.Members[j].Rev, from, to)
		}
	}
}

// Run is one or more successive revs of the same kind. The first concerns message
// Seq, each other one the message after that of the rev before it; or none of them
// concerns a message, and Seq is 0.
type Run struct {
	Kind    chat.EventKind
	Count   int
	Seq     chat.Seq
	History bool // of the past, put in by an import: it makes no notification
}

// Change is one rev of a room. Seq is the message it concerns, 0 if none.
type Change struct {
	Rev     chat.Rev
	Kind    chat.EventKind
	Seq     chat.Seq
	History bool // as in Run
}

// Add counts one more rev, of the given kind and concerning message seq, or none
// if seq is 0.
func (s *RoomSpan) Add(kind chat.EventKind, seq chat.Seq) { s.add(kind, seq, false) }

// AddHistory is Add for a change of the past (Run.History).
func (s *RoomSpan) AddHistory(kind chat.EventKind, seq chat.Seq) { s.add(kind, seq, true) }

func (s *RoomSpan) add(kind chat.EventKind, seq chat.Seq, history bool) {
	s.To++
	if n := len(s.Runs); n > 0 {
		last := &s.Runs[n-1]
		if last.Kind == kind && last.History == history && seq == last.seq(last.Count) {
			last.Count++
			return
		}
	}
	s.Runs = append(s.Runs, Run{Kind: kind, Count: 1, Seq: seq, History: history})
}

// seq is the message that the i-th rev of the run concerns, 0 if none.
func (r *Run) seq(i int) chat.Seq {
	if r.Seq == 0 {
		return 0
	}
	return r.Seq + chat.Seq(i)
}

// Changes tells what each rev of the span is, in order; nothing if Runs is not
// known.
func (s *RoomSpan) Changes() iter.Seq[Change] {
	return func(yield func(Change) bool) {
		rev := s.From
		for i := range s.Runs {
			run := &s.Runs[i]
			for n := range run.Count {
				if !yield(Change{rev, run.Kind, run.seq(n), run.History}) {
					return
				}
				rev++
			}
		}
	}
}
