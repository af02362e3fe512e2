// Package sqldb is what the drivers for SQL databases over a network have in common:
// tables and columns, rows to structs and back, the reading half of store.Driver, the
// control database, the rules of Check, and what is looked at when a database is
// opened.
//
// It is written against Engine, which an engine (store/mysql, store/postgres)
// implements: several questions in one round trip, answered as of one commit. How a
// batch is written is each engine's own.
//
// Statements are in one common form: {rooms} is a table, which gets the prefix of the
// shard, and ? a placeholder. Dialect.SQL makes the engine's form of it. Values that
// are sent and read are int64, string, []byte and NULL, nothing else; what is true or
// false is 1 or 0.
package sqldb

import "context"

// A Question is a statement that reads.
type Question struct {
	Text string // in the common form
	Args []any  // int64, string, []byte or nil

	// Row is called for each row of the answer, in its order, and does not keep the
	// Scanner.
	Row func(Scanner) error
}

// Scanner is the row that is read. Destinations are *int64, *string and *[]byte; the
// last takes NULL, as nil, and what it gets is its own.
type Scanner interface{ Scan(dest ...any) error }

// A Statement writes.
type Statement struct {
	Text string // in the common form
	Args []any  // int64, string, []byte or nil
}

// Asker answers questions.
type Asker interface {
	// Ask sends the questions in one round trip, answers them as of one commit, and
	// calls Row for the rows of the first, then for those of the second, and so on.
	// After an error, rows may have been seen; if the error was one of Row, the
	// connection is not used again. No questions are no round trip.
	Ask(ctx context.Context, qs ...Question) error
}

// Engine is one database as its engine talks to it. It is safe for concurrent use.
// Every call ends soon after ctx has; errors are *chat.Error with the kinds that
// store.Driver names, Conflict where a row exists already.
type Engine interface {
	Asker

	// Dialect says how to write statements for the engine. It does not change.
	Dialect() *Dialect

	// Snapshot calls fn with an Asker whose every round trip is answered as of the
	// same commit. It may call it again, from its start, after the connection has
	// failed.
	Snapshot(ctx context.Context, fn func(Asker) error) error

	// Exec runs the statements in one transaction, which is durable when it returns.
	Exec(ctx context.Context, ss ...Statement) error

	Close() error
}
