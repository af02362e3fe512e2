// Package ingest takes messages from queues into which programs of the host write them:
// lists and streams of Redis, subjects of NATS. Such a program needs no answer, and its
// messages wait where it has put them for as long as no room can take them.
//
// An entry is read, sent, and removed from its queue when its message is committed. A
// process that ends in between leaves the entry where it is, and the next one sends it
// again with the same key, so that it is stored once. What is refused for good goes to a
// list of its own, with the reason. What is refused for now stays, and is tried again;
// the other rooms do not wait for it, as far as the reader looks ahead.
package ingest

import (
	"context"
	"errors"
)

// Entry is what a program has put into a queue.
type Entry struct {
	// ID is the entry's own in its queue: the same whenever it is read, and of no other
	// entry, also after the queue was emptied or made anew. It is the key of a message that
	// has none.
	ID   string
	Data []byte // the message, as JSON (wire.Posting)
	Size int    // of what was put in: more than len(Data) where it was too large, and cut
}

// Failure is why an entry is not sent.
type Failure struct {
	Code   string // of the error, as HTTP has it
	Reason string
}

// ErrElsewhere says that another node reads the queue now. What was read and is not done
// is that one's.
var ErrElsewhere = errors.New("another node reads this queue")

// Source is a queue. Read is called by one goroutine at a time; the others may be called
// meanwhile. A call takes a few seconds at most, whatever the servers do.
type Source interface {
	// Read returns the next entries, in their order, up to most: those that this Source has
	// not returned yet. If there are none, it waits a moment for one, and returns none. Of
	// the Sources of all nodes for a queue one is given entries at a time, as far as
	// processes that stand still allow that; the others get ErrElsewhere. That one stays the
	// reader as long as it calls Read every second, also for none (most 0), and one of the
	// others is the reader soon after it does not. Entries that the last reader had and
	// that are not done are returned, before or among later ones; an entry may be returned
	// again.
	Read(ctx context.Context, most int) ([]Entry, error)

	// Done removes entries that were read. One that is not there is no error.
	Done(ctx context.Context, ids []string) error

	// Fail removes an entry that was read, and keeps it with the failure where operators
	// find it, among a bounded number of others.
	Fail(ctx context.Context, e Entry, f Failure) error

	// Close ends the reading, in favour of another node at once. Read must have returned.
	Close() error
}
