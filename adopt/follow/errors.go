package follow

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/roomtide/roomtide/chat"
)

// fail makes an error of the source a *chat.Error. One that is such already stays as it
// is.
func fail(op, subject string, err error) error {
	var own *chat.Error
	if err == nil || errors.As(err, &own) {
		return err
	}
	kind, text := kindOf(err)
	return &chat.Error{Kind: kind, Op: "follow." + op, Subject: subject, Text: text, Err: err}
}

// kindOf tells errors that pass from those that stay.
func kindOf(err error) (chat.Kind, string) {
	var network net.Error
	var my *mysql.MySQLError
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &my):
		return mysqlKind(my.Number)
	case errors.As(err, &pg):
		return postgresKind(pg.Code)
	case errors.As(err, &network), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, mysql.ErrInvalidConn),
		errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone), errors.Is(err, net.ErrClosed), pgconn.SafeToRetry(err):
		return chat.Unavailable, "the source does not answer"
	}
	return chat.Internal, "the source answers with an error"
}

func mysqlKind(number uint16) (chat.Kind, string) {
	switch number {
	case 1040, 1053, 1077, 1079, 1129, 1152, 1153, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1226, 1290, 1317, 1927, 3024, 4031:
		return chat.Unavailable, "the source cannot answer right now"
	case 1044, 1045, 1142, 1143, 1227, 1698:
		return chat.Forbidden, "the user of the source has not the right"
	case 1054, 1146, 1049:
		return chat.Conflict, "a table or column of the source is gone: see what \"roomtide adopt check\" says"
	}
	return chat.Internal, "the source answers with an error"
}

func postgresKind(code string) (chat.Kind, string) {
	switch {
	case code[:2] == "08", code[:2] == "53", code[:2] == "57", code == "40001", code == "40P01", code == "55P03":
		return chat.Unavailable, "the source cannot answer right now"
	case code == "42501":
		return chat.Forbidden, "the user of the source has not the right"
	case code == "42703", code == "42P01":
		return chat.Conflict, "a table or column of the source is gone: see what \"roomtide adopt check\" says"
	}
	return chat.Internal, "the source answers with an error"
}

func invalid(op, subject, text string) error {
	return &chat.Error{Kind: chat.Invalid, Op: "follow." + op, Subject: subject, Text: text}
}
