// Package sqlite keeps rooms, users and the outbox in SQLite files: the storage of
// a server that needs nothing else.
//
// A Shard is one file and implements store.Driver. It has one connection that
// writes, which is all that SQLite allows, and a few that read. Lanes load and
// commit on the writing connection; readers see the last commit and do not wait.
// A Control is the small file beside the shards. Dir is store.Opener for a whole
// data directory:
//
//	lock         held by the server that uses the directory
//	control.db   slot map, API keys, node leases
//	shard-0.db…  rooms and users of some slots each
//
// SQL stays plain and short here; what rows mean is decided in package lane.
package sqlite

import (
	"context"
	"log/slog"
	"slices"

	"github.com/roomtide/roomtide/store"
)

// Shard is store.Driver on one SQLite file.
type Shard struct {
	db   *database
	find finds // on the reading connections
	list lists // on the reading connections
	push pushLists

	slots slotQueries // on the reading connections
}

var _ store.Driver = (*Shard)(nil)

// Open opens the file, and makes it if it is missing. A file that is not a
// database, or was written by a newer version of the program, is refused.
func Open(ctx context.Context, path string, log *slog.Logger) (*Shard, error) {
	db, err := openDatabase(ctx, path, "shard", log)
	if err != nil {
		return nil, err
	}
	s := &Shard{db: db}
	if err := prepare(ctx, db.r, slices.Concat(s.find.queries(), s.list.queries(), s.push.queries(), s.slots.queries())); err != nil {
		return nil, db.abandon(err)
	}
	return s, nil
}

// Close waits for the commit in progress and closes the file.
func (s *Shard) Close() error { return s.db.close() }
