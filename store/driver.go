package store

import (
	"context"

	"github.com/roomtide/roomtide/chat"
)

// A Driver is one shard: one database that holds the rooms and users of some
// slots. Drivers only talk SQL; choosing the shard, deadlines, counters and the
// mapping of errors are Store's. Every method is safe for concurrent use, keeps
// nothing it was given and shares nothing it returns. All errors are
// *chat.Error: NotFound where stated, ReadOnly when the disk is full,
// Unavailable when the database cannot be reached, Internal otherwise.
type Driver interface {
	Writer
	RoomReader
	UserReader
	QueueReader

	// Check verifies that the database is whole: structure, and every room's
	// messages numbered 1..LastSeq without a hole. It returns what is wrong,
	// one line each, nil if nothing.
	Check(ctx context.Context) ([]string, error)
	Close() error
}

// Writer is the half that lanes use. One lane owns a shard's lane id at a time.
type Writer interface {
	// Acquire makes the caller the owner of the lane: it raises the lane's epoch,
	// so that commits of every earlier owner fail, and returns where the lane
	// stands.
	Acquire(ctx context.Context, lane LaneID) (Position, error)

	// Load returns the rows that need names, as of the last commit. What does
	// not exist is absent from the answer.
	Load(ctx context.Context, need *Need) (*State, error)

	// Commit applies ch in one durable transaction (fsync before it returns) and
	// moves the lane from position at to at.Next(). If the stored position is not
	// at, nothing is written and the error is Fenced. On any other error nothing
	// was written either, unless the outcome could not be learned; then the kind
	// is Unavailable and the caller must Acquire again to find out. Changes of a
	// row that does not exist, and an outbox entry of another position, are
	// Internal. Each rev of a room belongs to one change, and Created grows with
	// Seq: Delta rests on both.
	Commit(ctx context.Context, lane LaneID, at Position, ch *Changes) error
}

// RoomReader answers questions about one room. Each answer is one consistent
// snapshot.
type RoomReader interface {
	// Room returns the room. NotFound.
	Room(ctx context.Context, room chat.RoomID) (chat.Room, error)

	// Heads returns each room that exists with its newest message (nil if none).
	// All rooms are of this shard.
	Heads(ctx context.Context, rooms []chat.RoomID) ([]Head, error)

	// Messages returns up to p.Limit messages in ascending Seq, tombstones
	// included, reactions filled in (tombstones have none); more says that there are others further in
	// the direction asked. The cost does not depend on the length of the room.
	// An unknown room is an empty page.
	Messages(ctx context.Context, room chat.RoomID, p Page) (ms []chat.Message, more bool, err error)

	// Delta returns what changed after rev, in pages of about limit items. A
	// message that changed again while pages are read may come twice; its Rev
	// says which is newer. An after beyond Room.Rev (a client of a restored
	// backup) is answered with Rev < After and nothing else. NotFound.
	Delta(ctx context.Context, room chat.RoomID, after chat.Rev, limit int) (chat.Delta, error)

	// Member returns a user's row, also if they left or are banned. NotFound.
	Member(ctx context.Context, room chat.RoomID, user chat.UserID) (chat.Member, error)

	// Members returns present members in ascending user id after the given one.
	Members(ctx context.Context, room chat.RoomID, after chat.UserID, limit int) ([]chat.Member, error)

	// Online returns who was noted online in the room, with the node that noted
	// it, up to limit rows.
	Online(ctx context.Context, room chat.RoomID, limit int) ([]OnlineEntry, error)
}

// UserReader answers questions about one user.
type UserReader interface {
	// UserRoom returns the user's row of a room, also if they left. NotFound.
	UserRoom(ctx context.Context, user chat.UserID, room chat.RoomID) (UserRoom, error)

	// UserRooms returns the rooms the user is in, in ascending room id, up to limit.
	UserRooms(ctx context.Context, user chat.UserID, limit int) ([]UserRoom, error)
}

// QueueReader reads the outbox: what lanes committed, for those who work on it
// afterwards. Each consumer has its own cursor.
type QueueReader interface {
	// Outbox returns entries of the lane after position n, ascending, up to limit.
	Outbox(ctx context.Context, lane LaneID, after int64, limit int) ([]Entry, error)

	// Cursor returns the position up to which the consumer has worked, 0 at first.
	Cursor(ctx context.Context, lane LaneID, consumer string) (int64, error)

	// EachMember calls fn for every member row of the shard, also of those who
	// left, in room order, until it returns an error. For rebuilding projections.
	EachMember(ctx context.Context, fn func(chat.Member) error) error
}
