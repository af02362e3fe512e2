// Package queue keeps what waits for a lane, outside of the lane's database: entries
// that are on the disks of several servers while the database is down or slow, or the
// lane has no owner. Every node appends; the owner of the lane reads, and trims what its
// database has.
//
// An entry is bytes to this package. Numbers of entries are the queue's: the lane's
// database holds up to which of them it has decided (store.Taken), in the transaction
// that decides, so that the queue needs to know nothing of its readers.
//
// A queue that is made anew has larger numbers than the one before it. A number of the
// lane's database that is of another queue so finds itself in none, and is never taken
// for one of this queue: Read says Conflict.
package queue

import "context"

// Queue keeps entries in partitions, one for each lane, until they are trimmed. Safe for
// concurrent use. Errors are a *chat.Error.
type Queue interface {
	// Append makes data the last entry of the lane, and returns its number when it is
	// durable on a quorum of servers. Numbers of a lane grow, and have gaps. The data is
	// the caller's again when Append returns. Busy: the queue, all lanes together, is full, and
	// nothing was appended. TooLarge: more than one entry may have, and nothing was appended
	// (relay appends up to max_payload of NATS, and repeats what is refused). Unavailable: it
	// may have been appended, or may be soon; or ctx had ended.
	Append(ctx context.Context, lane int, data []byte) (uint64, error)

	// Read calls take for each durable entry of the lane behind the entry with the number after,
	// in their order and without a hole: those that are there and those that come, until
	// ctx ends, and then returns nil; or until take returns an error, and then returns
	// that. After is the number of an entry of the lane, or 0, which is before the first
	// one that is there. Data is valid during the call only. While take works nothing else
	// is taken.
	//
	// Servers that fail are waited for. Conflict: the entry after is not there, because it
	// was trimmed, because the queue has lost its end, or because it was made anew; what
	// followed it may be lost. A caller that goes on nevertheless reads after 0, and finds
	// entries that it has taken before. The error has the number. Unavailable: the queue is closed.
	Read(ctx context.Context, lane int, after uint64, take func(number uint64, data []byte) error) error

	// Trim says that the entries of the lane up to that with the number are not read any
	// more. They are forgotten together some time later, but for the last of them, from which Read
	// goes on. If that one is not there nothing is forgotten: servers that have lost their end give
	// smaller numbers again, to entries that were not read. It is cheap, and may be called for
	// each entry.
	Trim(ctx context.Context, lane int, number uint64) error

	// Last is the number of the entry that was appended to the lane last, 0 if none was.
	Last(ctx context.Context, lane int) (uint64, error)

	// Err is what is wrong with the queue now, for those who run it: servers do not
	// answer, one of them does not keep up, there is little space left. Nil: nothing is.
	Err() error

	// Close ends what is being read, and later calls, Err too, with Unavailable. The entries stay.
	Close()
}
