package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/roomtide/roomtide/chat"
)

// Numbers of errors, of both servers.
const (
	errDuplicate  = 1062
	errNull       = 1048 // of the fence
	errRows       = 1242 // a subquery has more than one row: see commit.exist
	errDeadlock   = 1213
	errChanged    = 1020 // MariaDB with innodb_snapshot_isolation: a deadlock by another name
	errNoThread   = 1094
	errNoDatabase = 1049
	errCreate     = 1007
)

// kinds are the kinds of errors that a server answers with; others are Internal.
var kinds = map[uint16]chat.Kind{
	errDuplicate: chat.Conflict,

	// Storage is full, or may only be read: a replica, or the old primary after a
	// fail-over.
	1021: chat.ReadOnly, 1114: chat.ReadOnly, 1290: chat.ReadOnly, 1792: chat.ReadOnly, 1836: chat.ReadOnly, 3100: chat.ReadOnly,

	// The connection or the transaction ends, and can be tried again.
	1040: chat.Unavailable, 1041: chat.Unavailable, 1042: chat.Unavailable, 1047: chat.Unavailable, 1053: chat.Unavailable,
	1077: chat.Unavailable, 1078: chat.Unavailable, 1129: chat.Unavailable, 1135: chat.Unavailable, 1158: chat.Unavailable,
	1159: chat.Unavailable, 1160: chat.Unavailable, 1161: chat.Unavailable, 1203: chat.Unavailable, 1205: chat.Unavailable,
	1226: chat.Unavailable, 1317: chat.Unavailable, 1927: chat.Unavailable, 3024: chat.Unavailable, 4031: chat.Unavailable,
	errDeadlock: chat.Unavailable, errChanged: chat.Unavailable,

	// A password or a right was changed: an operator can give it back.
	1044: chat.Unavailable, 1045: chat.Unavailable, errNoDatabase: chat.Unavailable, 1142: chat.Unavailable, 1143: chat.Unavailable,
	1227: chat.Unavailable, 1698: chat.Unavailable, 1820: chat.Unavailable, 3118: chat.Unavailable, 4151: chat.Unavailable,
}

// number is the number of a server's error, 0 of another.
func number(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

func kindOf(err error) chat.Kind {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		if kind, ok := kinds[e.Number]; ok {
			return kind
		}
		// Of the storage engine or of a file: what the system said is in the text.
		if (e.Number == 1030 || e.Number == 1026 || e.Number == 3 || e.Number == 1037) &&
			(strings.Contains(e.Message, "28") || strings.Contains(e.Message, "122")) {
			return chat.ReadOnly
		}
		return chat.Internal
	}
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.As(err, &network),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, mysql.ErrInvalidConn),
		errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone), errors.Is(err, net.ErrClosed), errors.Is(err, errClosed):
		return chat.Unavailable
	}
	return chat.Internal
}

var errClosed = errors.New("the database is closed")

// fail makes err a *chat.Error that names the database. One that does so already stays
// as it is, nil stays nil.
func (db *database) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	var own *chat.Error
	if errors.As(err, &own) {
		if own == err && own.Subject == "" {
			named := *own
			named.Op, named.Subject = "mysql."+op, db.o.Name
			return &named
		}
		return err
	}
	kind := kindOf(err)
	if db.closed.Load() {
		kind = chat.Unavailable
	}
	return &chat.Error{Kind: kind, Op: "mysql." + op, Subject: db.o.Name, Err: err}
}

// again reports whether a transaction that failed with err was rolled back by the
// server because of another one, so that it can be run once more.
func again(err error) bool {
	n := number(err)
	return n == errDeadlock || n == errChanged
}

// tries is how often a transaction is run that others keep from ending.
const tries = 4
