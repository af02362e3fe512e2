package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/roomtide/roomtide/chat"
)

// fileError says which file an error is about.
type fileError struct {
	path string
	err  error
}

func (e *fileError) Error() string { return e.path + ": " + e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }

// fail turns err into a *chat.Error that names the file. Errors that are that
// already stay as they are, nil stays nil.
func (d *database) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	var own *chat.Error
	if errors.As(err, &own) {
		return err
	}
	kind := kindOf(err)
	if d.closed.Load() {
		kind = chat.Unavailable
	}
	return chat.Wrap(kind, "sqlite."+op, &fileError{d.path, err})
}

// failCommit is fail for an error of COMMIT itself. A full disk is known to
// have written nothing: the commit record was not written whole. After any
// other error the transaction may still turn out to be on the disk.
func (d *database) failCommit(op string, err error) error {
	kind := chat.Unavailable
	if kindOf(err) == chat.ReadOnly && resultCode(err)&0xff == sqlite3.SQLITE_FULL {
		kind = chat.ReadOnly
	}
	return chat.Wrap(kind, "sqlite."+op, &fileError{d.path, err})
}

// resultCode is SQLite's extended result code, -1 for an error that is not its own
// and for none.
func resultCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return -1
}

func kindOf(err error) chat.Kind {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EROFS):
		return chat.ReadOnly
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, sql.ErrConnDone), errors.Is(err, sql.ErrTxDone), errors.Is(err, driver.ErrBadConn):
		return chat.Unavailable
	}
	code := resultCode(err)
	switch code {
	case sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE:
		return chat.ReadOnly // over a quota, or no room for the -shm file
	case sqlite3.SQLITE_IOERR_DATA, sqlite3.SQLITE_IOERR_CORRUPTFS:
		return chat.Internal
	case sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE:
		return chat.Conflict // a number or a key that is taken
	}
	switch code & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY:
		return chat.ReadOnly
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_IOERR:
		return chat.Unavailable
	}
	return chat.Internal
}

// notFound says that a row does not exist.
func notFound(op, subject string) error {
	return &chat.Error{Kind: chat.NotFound, Op: "sqlite." + op, Subject: subject}
}
