package store

import (
	"cmp"
	"context"

	"github.com/roomtide/roomtide/chat"
)

// Rows are whole rows as they are stored: what moves from one shard to another of
// any engine, and what an export holds.
type Rows struct {
	Rooms     []chat.Room      // also those that are deleted
	Members   []chat.Member    // also those that have left
	Messages  []chat.Message   // without Reactions
	Reactions []ReactionChange // On is set
	Online    []OnlineChange   // On is set
	UserRooms []UserRoom       // also those of rooms that the user has left
	Users     []chat.User
	Access    []chat.Access

	Devices      []chat.Device
	PushSettings []chat.PushSettings
	PushJobs     []PushJob
	PushOwners   []PushOwner
	UserNodes    []UserNodes
}

// Len is the number of rows.
func (r *Rows) Len() int {
	return len(r.Rooms) + len(r.Members) + len(r.Messages) + len(r.Reactions) + len(r.Online) +
		len(r.UserRooms) + len(r.Users) + len(r.Access) +
		len(r.Devices) + len(r.PushSettings) + len(r.PushJobs) + len(r.PushOwners) + len(r.UserNodes)
}

// Add appends rows.
func (r *Rows) Add(o *Rows) {
	r.Rooms = append(r.Rooms, o.Rooms...)
	r.Members = append(r.Members, o.Members...)
	r.Messages = append(r.Messages, o.Messages...)
	r.Reactions = append(r.Reactions, o.Reactions...)
	r.Online = append(r.Online, o.Online...)
	r.UserRooms = append(r.UserRooms, o.UserRooms...)
	r.Users = append(r.Users, o.Users...)
	r.Access = append(r.Access, o.Access...)
	r.Devices = append(r.Devices, o.Devices...)
	r.PushSettings = append(r.PushSettings, o.PushSettings...)
	r.PushJobs = append(r.PushJobs, o.PushJobs...)
	r.PushOwners = append(r.PushOwners, o.PushOwners...)
	r.UserNodes = append(r.UserNodes, o.UserNodes...)
}

// Size is about how many bytes the rows take (SizeOf).
func (r *Rows) Size() int {
	return sizes(r.Rooms) + sizes(r.Members) + sizes(r.Messages) + sizes(r.Reactions) + sizes(r.Online) +
		sizes(r.UserRooms) + sizes(r.Users) + sizes(r.Access) +
		sizes(r.Devices) + sizes(r.PushSettings) + sizes(r.PushJobs) + sizes(r.PushOwners) + sizes(r.UserNodes)
}

func sizes[R Row](rows []R) (n int) {
	for i := range rows {
		n += SizeOf(&rows[i])
	}
	return n
}

// Of are the rows of one table.
func (r *Rows) Of(t Table) *Rows {
	switch t {
	case TableRooms:
		return &Rows{Rooms: r.Rooms}
	case TableMembers:
		return &Rows{Members: r.Members}
	case TableMessages:
		return &Rows{Messages: r.Messages}
	case TableReactions:
		return &Rows{Reactions: r.Reactions}
	case TableOnline:
		return &Rows{Online: r.Online}
	case TableUserRooms:
		return &Rows{UserRooms: r.UserRooms}
	case TableUsers:
		return &Rows{Users: r.Users}
	case TableAccess:
		return &Rows{Access: r.Access}
	case TableDevices:
		return &Rows{Devices: r.Devices}
	case TablePushSettings:
		return &Rows{PushSettings: r.PushSettings}
	case TablePushJobs:
		return &Rows{PushJobs: r.PushJobs}
	case TablePushOwners:
		return &Rows{PushOwners: r.PushOwners}
	case TableUserNodes:
		return &Rows{UserNodes: r.UserNodes}
	}
	return &Rows{}
}

// Keys are the keys of the rows, in the order of their tables.
func (r *Rows) Keys() []RowKey {
	keys := make([]RowKey, 0, r.Len())
	keys = appendKeys(keys, r.Rooms)
	keys = appendKeys(keys, r.Members)
	keys = appendKeys(keys, r.Messages)
	keys = appendKeys(keys, r.Reactions)
	keys = appendKeys(keys, r.Online)
	keys = appendKeys(keys, r.UserRooms)
	keys = appendKeys(keys, r.Users)
	keys = appendKeys(keys, r.Access)
	keys = appendKeys(keys, r.Devices)
	keys = appendKeys(keys, r.PushSettings)
	keys = appendKeys(keys, r.PushJobs)
	keys = appendKeys(keys, r.PushOwners)
	return appendKeys(keys, r.UserNodes)
}

// Last is the greatest key of rows that are in ascending order, the zero RowKey if
// there are none.
func (r *Rows) Last() RowKey {
	switch {
	case len(r.UserNodes) > 0:
		return lastKey(r.UserNodes)
	case len(r.PushOwners) > 0:
		return lastKey(r.PushOwners)
	case len(r.PushJobs) > 0:
		return lastKey(r.PushJobs)
	case len(r.PushSettings) > 0:
		return lastKey(r.PushSettings)
	case len(r.Devices) > 0:
		return lastKey(r.Devices)
	case len(r.Access) > 0:
		return lastKey(r.Access)
	case len(r.Users) > 0:
		return lastKey(r.Users)
	case len(r.UserRooms) > 0:
		return lastKey(r.UserRooms)
	case len(r.Online) > 0:
		return lastKey(r.Online)
	case len(r.Reactions) > 0:
		return lastKey(r.Reactions)
	case len(r.Messages) > 0:
		return lastKey(r.Messages)
	case len(r.Members) > 0:
		return lastKey(r.Members)
	case len(r.Rooms) > 0:
		return lastKey(r.Rooms)
	}
	return RowKey{}
}

func lastKey[R Row](rows []R) RowKey { return KeyOf(&rows[len(rows)-1]) }

func appendKeys[R Row](keys []RowKey, rows []R) []RowKey {
	for i := range rows {
		keys = append(keys, KeyOf(&rows[i]))
	}
	return keys
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
	TableDevices
	TablePushSettings
	TablePushJobs
	TablePushOwners
	TableUserNodes

	LastTable = TableUserNodes
)

// RowKey is the primary key of a row without its slot, which ID gives. The zero
// RowKey is before the first row of a slot. Fields that a table does not name are
// zero.
type RowKey struct {
	Table Table
	ID    string   // the room of the first five tables, the digest of push_owners, the user of the others
	Seq   chat.Seq // messages and reactions
	A, B  string   // what KeyOf says
}

// Slot is the slot under which the row is filed.
func (k RowKey) Slot() chat.Slot {
	if k.Table < TableUserRooms {
		return chat.RoomID(k.ID).Slot()
	}
	return chat.UserID(k.ID).Slot()
}

// Compare says how keys are ordered: by their fields from the first to the last,
// texts by their bytes.
func (k RowKey) Compare(o RowKey) int {
	return cmp.Or(cmp.Compare(k.Table, o.Table), cmp.Compare(k.ID, o.ID), cmp.Compare(k.Seq, o.Seq),
		cmp.Compare(k.A, o.A), cmp.Compare(k.B, o.B))
}

// Row is a row of one of the tables.
type Row interface {
	chat.Room | chat.Member | chat.Message | ReactionChange | OnlineChange | UserRoom | chat.User | chat.Access |
		chat.Device | chat.PushSettings | PushJob | PushOwner | UserNodes
}

// KeyOf is the key of a row.
func KeyOf[R Row](row *R) RowKey {
	switch r := any(row).(type) {
	case *chat.Room:
		return RowKey{Table: TableRooms, ID: string(r.ID)}
	case *chat.Member:
		return RowKey{Table: TableMembers, ID: string(r.Room), A: string(r.User)}
	case *chat.Message:
		return RowKey{Table: TableMessages, ID: string(r.Room), Seq: r.Seq}
	case *ReactionChange:
		return RowKey{Table: TableReactions, ID: string(r.Room), Seq: r.Seq, A: r.Emoji, B: string(r.User)}
	case *OnlineChange:
		return RowKey{Table: TableOnline, ID: string(r.Room), A: string(r.User), B: r.Node}
	case *UserRoom:
		return RowKey{Table: TableUserRooms, ID: string(r.User), A: string(r.Room)}
	case *chat.User:
		return RowKey{Table: TableUsers, ID: string(r.ID)}
	case *chat.Access:
		return RowKey{Table: TableAccess, ID: string(r.User)}
	case *chat.Device:
		return RowKey{Table: TableDevices, ID: string(r.User), A: r.ID}
	case *chat.PushSettings:
		return RowKey{Table: TablePushSettings, ID: string(r.User), A: string(r.Room)}
	case *PushJob:
		return RowKey{Table: TablePushJobs, ID: string(r.User), A: r.Topic, B: r.Device}
	case *PushOwner:
		return RowKey{Table: TablePushOwners, ID: r.Digest}
	case *UserNodes:
		return RowKey{Table: TableUserNodes, ID: string(r.User)}
	}
	panic("unreachable: Row names all types")
}

// SizeOf is about how many bytes a row takes: by it answers are cut.
func SizeOf[R Row](row *R) int {
	const fixed = 100
	switch r := any(row).(type) {
	case *chat.Room:
		return fixed + len(r.ID) + len(r.Title) + len(r.Topic) + len(r.Avatar) + len(r.Data)
	case *chat.Member:
		return fixed + len(r.Room) + len(r.User) + len(r.Name) + len(r.Avatar) + len(r.Data)
	case *chat.Message:
		n := fixed + len(r.Room) + len(r.User) + len(r.Name) + len(r.Text) + len(r.Key) + len(r.Data)
		for _, id := range r.Mentions {
			n += len(id) + 1
		}
		return n
	case *ReactionChange:
		return fixed + len(r.Room) + len(r.Emoji) + len(r.User)
	case *OnlineChange:
		return fixed + len(r.Room) + len(r.User) + len(r.Node)
	case *UserRoom:
		return fixed + len(r.User) + len(r.Room)
	case *chat.User:
		return fixed + len(r.ID) + len(r.Name) + len(r.Avatar) + len(r.Data)
	case *chat.Access:
		return fixed + len(r.User)
	case *chat.Device:
		return fixed + len(r.User) + len(r.ID) + len(r.Provider) + len(r.Address) + len(r.Language)
	case *chat.PushSettings:
		return fixed + len(r.User) + len(r.Room) + len(r.TimeZone)
	case *PushJob:
		return fixed + len(r.User) + len(r.Topic) + len(r.Device) + len(r.Reason) + len(r.Title) + len(r.Text) + len(r.Data)
	case *PushOwner:
		return fixed + len(r.Digest) + len(r.User) + len(r.Device)
	case *UserNodes:
		return fixed + len(r.User) + len(r.Nodes)
	}
	panic("unreachable: Row names all types")
}

// RowReader reads what is filed under slots, as it is stored. Each answer is one
// consistent snapshot. Messages have no Reactions.
type RowReader interface {
	// SlotRows returns rows of the slot that follow the key, in ascending order of
	// their keys: up to limit of them, as many as fit into so many bytes (SizeOf; 0:
	// no bound), and at least one. next is the key of the last one, and the zero
	// RowKey if there are no more; the driver may notice that only with the call
	// that finds none. An answer may hold rows of several tables, or those of one
	// with more to come. The cost depends on the answer alone, not on the size of
	// the slot.
	SlotRows(ctx context.Context, slot chat.Slot, after RowKey, limit, bytes int) (rows *Rows, next RowKey, err error)

	// RowsByKey returns those of the rows that exist, in any order within a table.
	// Repeats are allowed. A key of no table is an error.
	RowsByKey(ctx context.Context, keys []RowKey) (*Rows, error)
}
