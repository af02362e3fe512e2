package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/roomtide/roomtide/chat"
)

// SQLSTATE codes that decide something.
const (
	divisionByZero     = "22012" // how a statement of ours refuses: see commit.go
	notInRepertoire    = "22021"
	uniqueViolation    = "23505"
	readOnlySQL        = "25006"
	invalidPassword    = "28P01"
	invalidCatalogName = "3D000"
	insufficientRight  = "42501"
	undefinedObject    = "42704"
	diskFull           = "53100"
	lockNotAvailable   = "55P03"
	protocolViolation  = "08P01"
	dataCorrupted      = "XX001"
	indexCorrupted     = "XX002"
)

// fail gives an error the kind that store.Driver names.
func fail(op, name string, err error) error {
	var e *chat.Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	kind, text := chat.Internal, ""
	switch code := sqlState(err); {
	case code == readOnlySQL:
		kind, text = chat.ReadOnly, "the database is read-only"
	case code == diskFull:
		kind, text = chat.ReadOnly, "the disk of the database is full"
	case code == uniqueViolation:
		kind = chat.Conflict
	case code == notInRepertoire:
		kind, text = chat.Invalid, "the text is not valid UTF-8"
	case comesBack(code) || code == "" && disconnected(err):
		kind, text = chat.Unavailable, "the database is not available"
	}
	return &chat.Error{Kind: kind, Op: "postgres." + op, Subject: name, Text: text, Err: err}
}

// sqlState is the code of the server's error, empty if the error is none of the
// server's.
func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// comesBack reports whether an error of the server says that it cannot do it now:
// connections, resources, an operator that intervenes, and transactions that were
// rolled back for another. Passwords and databases that were right at open are of the
// same kind when a connection is made anew.
func comesBack(code string) bool {
	if len(code) != 5 {
		return false
	}
	switch code[:2] {
	case "08", "28", "40", "53", "57":
		return true
	}
	return code == invalidCatalogName || code == lockNotAvailable || code == "25P03" || code == "58000"
}

// disconnected reports whether an error is one of the connection or of its end.
func disconnected(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.Timeout(err) || pgconn.SafeToRetry(err) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errClosed) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "conn busy")
}

// errClosed is the error of a connection that failed without another.
var errClosed = errors.New("the connection has ended")
