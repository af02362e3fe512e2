package source

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"

	"github.com/roomtide/roomtide/chat"
)

func invalid(format string, args ...any) error {
	return &chat.Error{Kind: chat.Invalid, Op: "source", Text: fmt.Sprintf(format, args...)}
}

// fault says what an error of a database means.
type fault uint8

const (
	broken  fault = iota // the way to it, or the server
	schema               // a table or column is not there, or the statement is not understood
	rights               // the user may not
	rowData              // the values of a row
)

// faultOf classifies an error, and names it without the values that servers put into
// their messages.
func faultOf(err error) (f fault, code string) {
	var my *mysql.MySQLError
	var pg *pgconn.PgError
	var lite *sqlite.Error
	switch {
	case errors.As(err, &my):
		return mysqlFault(my.Number), fmt.Sprintf("error %d of the database", my.Number)
	case errors.As(err, &pg):
		return postgresFault(pg.Code), "error " + pg.Code + " of the database"
	case errors.As(err, &lite):
		code = fmt.Sprintf("error %d of SQLite", lite.Code())
		switch text := lite.Error(); {
		case lite.Code()&0xff != 1: // SQLITE_ERROR
			return broken, code
		case strings.Contains(text, "no such"), strings.Contains(text, "syntax error"), strings.Contains(text, "ambiguous column"),
			strings.Contains(text, "wrong number of arguments"), strings.Contains(text, "unrecognized token"), strings.Contains(text, "misuse of"):
			return schema, code
		}
		return rowData, code
	}
	return broken, ""
}

func mysqlFault(n uint16) fault {
	switch n {
	case 1044, 1045, 1142, 1143, 1227, 1370, 1698:
		return rights
	case 1046, 1049, 1051, 1052, 1054, 1064, 1066, 1109, 1111, 1146, 1247, 1248, 1305, 1582, 1583, 1584, 1630:
		return schema
	case 1040, 1053, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1226, 1317, 1927, 1969, 3024, 1114, 1021, 1037, 1038, 1041, 1028, 1030, 1033, 1034, 126, 127:
		return broken
	}
	return rowData
}

func postgresFault(code string) fault {
	switch {
	case code == "42501" || strings.HasPrefix(code, "28"):
		return rights
	case strings.HasPrefix(code, "42"), strings.HasPrefix(code, "3D"), strings.HasPrefix(code, "3F"):
		return schema
	case strings.HasPrefix(code, "22"), strings.HasPrefix(code, "21"):
		return rowData
	}
	return broken
}

// explained is the error that a caller gets for one of the database.
func explained(what string, err error) error {
	var known *chat.Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return err
	}
	f, code := faultOf(err)
	switch f {
	case schema:
		return &chat.Error{Kind: chat.Invalid, Op: "source", Text: what + ": the mapping does not fit the tables: " + said(err), Err: nil}
	case rights:
		return &chat.Error{Kind: chat.Invalid, Op: "source", Text: what + ": the database refuses it: " + said(err) + "; give the user SELECT on the tables that the mapping names"}
	case rowData:
		return &chat.Error{Kind: chat.Invalid, Op: "source", Text: what + ": an expression fails on some rows (" + code + ")"}
	}
	return &chat.Error{Kind: chat.Unavailable, Op: "source", Text: what + ": the database cannot be read", Err: err}
}

// said is what the server says of tables, columns and rights: no values are in it.
func said(err error) string {
	var my *mysql.MySQLError
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &my):
		return my.Message
	case errors.As(err, &pg):
		return pg.Message
	}
	text := strings.TrimPrefix(err.Error(), "SQL logic error: ")
	if i := strings.LastIndex(text, " ("); i > 0 {
		text = text[:i]
	}
	return text
}

// Passes reports whether an error of a database is over when the server, or the way to it, is
// back: nothing about the statement or the row is wrong.
func Passes(err error) bool {
	f, _ := faultOf(err)
	return f == broken
}
