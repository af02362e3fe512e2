package store

import (
	"context"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// A Driver is one shard: one database that holds the rooms and users of some
// slots. It only talks to its database; Store chooses the shard, sets deadlines,
// counts and times calls, and encodes and merges what is the same for every
// database.
//
// Every method is safe for concurrent use, keeps nothing it was given and shares
// nothing it returns. It returns soon after ctx has ended, or is otherwise known
// to be over soon. An error is a *chat.Error if its kind matters: NotFound and
// Fenced where stated, ReadOnly when the disk is full, Unavailable when the
// database cannot be reached. Any other error counts as Internal, or as
// Unavailable once ctx has ended.
type Driver interface {
	Writer
	RoomReader
	RoomLister
	UserReader
	PushReader
	OutboxReader
	RowReader

	// AllMembers returns up to limit member rows of the shard that follow the
	// given key, in an order of the driver's in which the rows of a room lie
	// together, including those of members that have left. The zero key is before the
	// first row.
	AllMembers(ctx context.Context, after MemberKey, limit int) ([]chat.Member, error)

	// HasRooms reports whether the shard holds any room.
	HasRooms(ctx context.Context) (bool, error)

	// Check verifies that the database is whole: structure, and every room's
	// messages numbered 1..LastSeq without a hole. It returns what is wrong,
	// one line each, nil if nothing. Rooms of slots that the shard does not own, as
	// owns says, are passed over: they may be half copied or half deleted. nil: it owns
	// all. It may take as long as it needs.
	Check(ctx context.Context, owns func(chat.Slot) bool) ([]string, error)

	Close() error
}

// Writer is the half that lanes use. One lane owns a shard's lane id at a time.
type Writer interface {
	// Acquire makes the caller the owner of the lane: it raises the lane's epoch,
	// so that commits of every earlier owner fail, and returns where the lane
	// stands.
	Acquire(ctx context.Context, lane LaneID) (Position, error)

	// Taken returns what the lane has committed last as Changes.Taken, zero if it never
	// has. Asked after Acquire it is final: no earlier owner commits any more.
	Taken(ctx context.Context, lane LaneID) (Taken, error)

	// Load returns the rows that need names, as of the last commit. What does
	// not exist is absent from the answer. Rooms that are deleted are in it, and each
	// room of Removals has an entry.
	Load(ctx context.Context, need *Need) (*State, error)

	// Commit applies ch in one durable transaction (fsync before it returns) and
	// moves the lane from position at to at.Next(). If the stored position is not
	// at, nothing is written and the error is Fenced; a lane that was never acquired
	// stands nowhere. If a new message has a number or a key that is taken, nothing is
	// written and the error is Conflict: the lane stands at at, and its owner may
	// commit something else. After an error of kind ReadOnly nothing was written
	// either. After any other error the outcome may be unknown, and the caller must
	// Acquire to find out. Changes of a row that does not exist are an error. Each rev
	// of a room belongs to one change, and Created grows with Seq: Delta rests on both.
	Commit(ctx context.Context, lane LaneID, at Position, ch *Changes) error

	// Lease makes node the holder of the lane's lease for life from now, by the clock of
	// the database, if it is the holder, whether or not the lease has run out, or if the
	// lease has run out. Of several nodes that try at once one succeeds. It returns the
	// lease as it is then. An empty node only looks. It changes neither position nor epoch,
	// and in databases that several nodes use it waits for no commit. Life is counted in
	// whole milliseconds.
	Lease(ctx context.Context, lane LaneID, node string, life time.Duration) (Lease, error)

	// Unlease ends the lease now if node is its holder: it has no holder then.
	Unlease(ctx context.Context, lane LaneID, node string) error
}

// RoomReader answers questions about one room. Each answer is one consistent
// snapshot. A room that is deleted does not exist, and neither do its members.
type RoomReader interface {
	// Room returns the room. NotFound.
	Room(ctx context.Context, room chat.RoomID) (chat.Room, error)

	// Messages returns up to p.Limit messages in ascending Seq, tombstones
	// included, reactions filled in (tombstones have none), or as many as fit into
	// p.Bytes, at least one; more says that there are others further in the
	// direction asked. The cost depends neither on the length of the room nor on how
	// many users reacted. An unknown room is an empty page.
	Messages(ctx context.Context, room chat.RoomID, p Page) (ms []chat.Message, more bool, err error)

	// DeltaRows returns what Reader.Delta merges, with the rows from each source for
	// which there is space, in its order. The cost does not depend on the length of
	// the room. NotFound.
	DeltaRows(ctx context.Context, room chat.RoomID, after chat.Rev, space Space) (*DeltaRows, error)

	// Member returns a user's row, also if they left or are banned. NotFound.
	Member(ctx context.Context, room chat.RoomID, user chat.UserID) (chat.Member, error)

	// Members returns members in ascending user id after the given one: those with
	// the role, or with RoleNone all that are present.
	Members(ctx context.Context, room chat.RoomID, role chat.Role, after chat.UserID, limit int) ([]chat.Member, error)

	// Online returns up to limit entries of users noted online in the room.
	Online(ctx context.Context, room chat.RoomID, limit int) ([]OnlineEntry, error)

	// Sent returns the message that the user has sent to the room with the key, a
	// tombstone too, without reactions; nil if there is none, or no such room. Queue is the
	// lane's Taken.Queue as of the same commit: a message of an entry up to it that is not
	// there was refused.
	Sent(ctx context.Context, lane LaneID, key MessageKey) (m *chat.Message, queue uint64, err error)
}

// RoomLister answers questions about several rooms, all of this shard. Each answer
// is one consistent snapshot; deleted rooms do not exist.
type RoomLister interface {
	// Rooms returns those of the rooms that exist.
	Rooms(ctx context.Context, rooms []chat.RoomID) ([]chat.Room, error)

	// Heads returns each room that exists with its newest message (nil if none).
	Heads(ctx context.Context, rooms []chat.RoomID) ([]Head, error)

	// ListRooms returns the first rooms that the filter lets pass, in its order. By
	// id, the cost depends on the number of rooms returned and of those that Open and
	// Archived keep out; by activity, on the number of rooms in the shard.
	ListRooms(ctx context.Context, f RoomFilter) ([]chat.Room, error)

	// Others answers each range, in their order. The cost depends on the lengths of
	// the ranges, not on those of the messages or the rooms.
	Others(ctx context.Context, ranges []Range) ([]Others, error)

	// MessagesBy looks at up to limit messages of the shard that follow the given
	// one, in an order of the driver's, and returns those that the user has written
	// and that are not deleted, and the last one it has looked at: the zero
	// MessageRef when there are no more. The zero reference is before the first.
	MessagesBy(ctx context.Context, user chat.UserID, after MessageRef, limit int) (found []MessageRef, last MessageRef, err error)
}

// UserReader answers questions about one user.
type UserReader interface {
	// UserRoom returns the user's row of a room, also if they left. NotFound.
	UserRoom(ctx context.Context, user chat.UserID, room chat.RoomID) (UserRoom, error)

	// UserRooms returns the rooms the user is in, in ascending room id after the
	// given one, up to limit.
	UserRooms(ctx context.Context, user chat.UserID, after chat.RoomID, limit int) ([]UserRoom, error)

	// Users returns those of the users of which something is known, in any order.
	// All are of this shard.
	Users(ctx context.Context, users []chat.UserID) ([]chat.User, error)

	// Access returns what is kept of the user for authentication. NotFound.
	Access(ctx context.Context, user chat.UserID) (chat.Access, error)
}

// OutboxReader reads what commits have left for consumers (package outbox).
type OutboxReader interface {
	// Outbox returns entries of the lane after the position, ascending, up to limit.
	Outbox(ctx context.Context, lane LaneID, after int64, limit int) ([]OutboxRow, error)

	// Cursors returns the cursor of every consumer of the lane, by ascending name.
	Cursors(ctx context.Context, lane LaneID) ([]Cursor, error)

	// Position returns Position.N of the lane's last commit, 0 if there is none. It waits for
	// no commit.
	Position(ctx context.Context, lane LaneID) (int64, error)
}

// OutboxRow is an entry of the outbox as it is stored.
type OutboxRow struct {
	Position int64  // of the lane, after the commit that left the entry
	Body     []byte // Changes.Outbox of that commit
}

// DeltaRows is what changed in a room after a rev, as of one commit. If the
// room's Rev is not beyond that rev, Room is all there is.
type DeltaRows struct {
	Room chat.Room

	// Created are the first messages created after the rev, ascending, with
	// their reactions.
	Created []chat.Message

	// Changed are the messages that were edited, deleted or reacted to after the
	// rev, by ascending Rev. Those that were created after it too may lack their
	// reactions: the merge drops them.
	Changed []chat.Message

	// Members are the member rows that changed after the rev, by ascending Rev.
	Members []chat.Member

	// What the sources have behind the last of these rows.
	MoreCreated, MoreChanged, MoreMembers bool
}
