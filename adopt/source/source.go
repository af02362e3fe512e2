// Package source reads a chat that moves in: the rows of its tables as a mapping
// describes them, decoded and checked. It only reads; the sessions that it opens are
// read-only.
//
// A Source is MySQL, MariaDB, PostgreSQL or SQLite. Files (CSV, JSON lines) are read
// into a SQLite database first, so that a mapping is SQL whatever it is about.
package source

import (
	"context"
	"time"
)

// Key is the value of the primary key of a row, as text: integers in decimal, binary
// columns in lower-case hex. Two rows of one table never have the same.
type Key string

// Row is one message as the mapping reads it, decoded. Fields that have no expression
// in the mapping are empty.
type Row struct {
	Key     Key
	Room    string
	User    string // the author
	To      string // the other member of a conversation of two, "" if the mapping does not name one
	Text    string
	Time    time.Time // the zero time if the source has none: the row follows the one before it
	Edited  time.Time // the zero time if it never was
	Deleted bool      // a tombstone: the row is there, and says that the message is gone
	Reply   Key       // "" if it is no answer to another
	Kind    string    // Message or System
	Data    map[string]string

	Problems []Problem // what did not fit or decode
}

// Kinds of rows. Rows of the kind "skip" are never returned.
const (
	Message = "message"
	System  = "system" // a line about the room, without an author
	skip    = "skip"
)

// Refused reports whether a problem of the row keeps it out.
func (r *Row) Refused() bool {
	for _, p := range r.Problems {
		if p.Refused {
			return true
		}
	}
	return false
}

// Problem is one thing about a row that did not fit. Detail may name values of ids and
// times, and never has the text of a message.
type Problem struct {
	Class   Class
	Field   string // as in the mapping: "text", "data.file"
	Detail  string
	Refused bool // the row cannot be imported as it is
}

// RoomRow is a room with its title.
type RoomRow struct {
	Key   Key // where the next page begins; not the key of a table
	ID    string
	Title string
	Open  bool
}

// MemberRow is that a user is, or was, in a room.
type MemberRow struct {
	Key        Key
	Room, User string
	Role       string // "owner", "moderator", "member", "muted" or "banned"; "member" where the mapping has none
	Left       bool
}

// UserRow is a user with a display name.
type UserRow struct {
	Key  Key
	ID   string
	Name string
}

// ReadRow is how far a user has read a room. Upto or Time is set, as
// read.by of the mapping says. The furthest row of a user in a room counts.
type ReadRow struct {
	Key        Key
	Section    int // of the mapping's read sections
	Room, User string
	Upto       Key       // the last message that was read
	Time       time.Time // everything up to then was read
}

// Source is a chat's tables. Its methods may be called by several goroutines.
//
// Pages: after is the Key of the last row of the page before, "" for the first; a page
// has at most limit rows, fewer where rows are large, and none only at the end. Rows
// that are written meanwhile may or may not be in a page.
//
// Errors are chat.Error: Unavailable where the server cannot be reached (try again),
// Invalid where the mapping does not fit the tables any more (stop). A row that cannot
// be read, decoded or used is no error: it is in the page, with Problems.
type Source interface {
	// Rows returns messages in the order of their keys: integers by value, others as the database orders them.
	Rows(ctx context.Context, after Key, limit int) ([]Row, error)
	// ByKeys returns those that exist, and are messages by the mapping, in any order.
	ByKeys(ctx context.Context, keys []Key) ([]Row, error)

	Rooms(ctx context.Context, after Key, limit int) ([]RoomRow, error)
	Members(ctx context.Context, after Key, limit int) ([]MemberRow, error)
	Users(ctx context.Context, after Key, limit int) ([]UserRow, error)
	Reads(ctx context.Context, after Key, limit int) ([]ReadRow, error)
	// ReadsOf returns the read marks of rows that a follower has named: keys of SplitReads.
	ReadsOf(ctx context.Context, keys []Key) ([]ReadRow, error)

	// Bounds returns the smallest and the largest key of the messages, and how many
	// there are. The count takes as long as the database needs for it.
	Bounds(ctx context.Context) (first, last Key, count int64, err error)
	Close() error
}
