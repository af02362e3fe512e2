package store

import (
	"context"

	"github.com/roomtide/roomtide/chat"
)

// Rows are whole rows of one slot, as they are stored: what moves from one shard to
// another of any engine, and what an export holds.
type Rows struct {
	Rooms     []chat.Room   // also those that are deleted
	Members   []chat.Member // also those that have left
	Messages  []chat.Message
	Reactions []ReactionChange // On is set
	Online    []OnlineChange   // On is set
	UserRooms []UserRoom       // also those of rooms that the user has left
	Users     []chat.User
	Access    []chat.Access
}

// Len is the number of rows.
func (r *Rows) Len() int {
	return len(r.Rooms) + len(r.Members) + len(r.Messages) + len(r.Reactions) + len(r.Online) +
		len(r.UserRooms) + len(r.Users) + len(r.Access)
}

// Table is one of the tables that hold the rows of slots, in the order in which they
// are read.
type Table uint8

const (
	TableRooms Table = iota + 1
	TableMembers
	TableMessages
	TableReactions
	TableOnline
	TableUserRooms
	TableUsers
	TableAccess
)

// RowKey is the primary key of a row without its slot, which ID gives. The zero
// RowKey is before the first row of a slot. Keys are in ascending order by their
// fields, texts by their bytes.
type RowKey struct {
	Table Table
	ID    string   // the room of the first five tables, the user of the others
	Seq   chat.Seq // messages and reactions
	A, B  string   // members: user; reactions: emoji, user; online: user, node; user_rooms: room
}

// RowReader reads what is filed under a slot, as it is stored. It is part of Driver.
type RowReader interface {
	// SlotRows returns rows of the slot that follow the key, in ascending order of
	// their keys: up to limit of them, or as many as fit into so many bytes (about;
	// at least one). next is the key of the last one, and is the zero RowKey if
	// there are no more. An answer may hold rows of several tables. The cost depends
	// on the answer alone, not on the size of the slot. Messages have no Reactions.
	SlotRows(ctx context.Context, slot chat.Slot, after RowKey, limit, bytes int) (rows *Rows, next RowKey, err error)
}
