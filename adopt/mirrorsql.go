package adopt

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// The statements by which the mirror writes into the old database.

// MirrorStatements are those that make the tables of the mirror, for an owner who makes them by hand.
func MirrorStatements(e source.Engine) []string {
	text, suffix := "VARBINARY(191)", " ENGINE=InnoDB"
	if e != source.MySQL {
		text, suffix = "TEXT", ""
	}
	return []string{
		"CREATE TABLE IF NOT EXISTS " + mapTable + " (source_key " + text + " NOT NULL PRIMARY KEY, room " + text + " NOT NULL, seq BIGINT NOT NULL, author " + text +
			" NOT NULL, hash CHAR(32) NOT NULL, gone INT NOT NULL, ms BIGINT NOT NULL, n BIGINT NOT NULL, UNIQUE (room, seq), UNIQUE (n))" + suffix,
		"CREATE TABLE IF NOT EXISTS " + feedTable + " (name " + text + " NOT NULL PRIMARY KEY, next " + strings.Replace(text, "VARBINARY(191)", "TEXT", 1) + " NOT NULL)" + suffix,
	}
}

// rowOf is the columns of a new row, and their values.
func (r *mirror) rowOf(msg *message) (columns, values []string, args []any, err error) {
	add := func(column string, value any) {
		columns, values, args = append(columns, r.engine.QuotePath(column)), append(values, "?"), append(args, value)
	}
	if r.pair {
		other, err := r.other(msg.Room, msg.User)
		if err != nil {
			return nil, nil, nil, err
		}
		add(r.to, other)
	} else {
		add(r.room, msg.Room)
	}
	body, _ := r.body(msg.Text)
	add(r.user, msg.User)
	add(r.text, body)
	if r.time != "" {
		add(r.time, r.at(msg.Time))
	}
	for column, value := range r.columns {
		columns, values = append(columns, r.engine.QuotePath(column)), append(values, value)
	}
	return columns, values, args, nil
}

// insertRow inserts the row and returns its key.
func (r *mirror) insertRow(ctx context.Context, tx *sql.Tx, columns, values []string, args []any) (string, error) {
	made := ""
	if r.move.cfg.MakeKeys {
		made = uuid.NewString()
		columns, values, args = append(columns, r.engine.QuotePath(r.key)), append(values, "?"), append(args, made)
	}
	text := r.engine.Bind("INSERT INTO " + r.engine.QuotePath(r.table) + " (" + strings.Join(columns, ", ") + ") VALUES (" + strings.Join(values, ", ") + ")")
	if r.engine == source.Postgres {
		var key string
		err := tx.QueryRowContext(ctx, text+" RETURNING "+r.engine.QuotePath(r.key)+"::text", args...).Scan(&key)
		return key, err
	}
	res, err := tx.ExecContext(ctx, text, args...)
	if err != nil || made != "" {
		return made, err
	}
	id, err := res.LastInsertId()
	if err == nil && id == 0 {
		err = chat.E(chat.Invalid, "the old table gives new rows no number")
	}
	return strconv.FormatInt(id, 10), err
}

func (r *mirror) update(ctx context.Context, tx *sql.Tx, k *known, msg *message) error {
	where := " WHERE " + r.engine.QuotePath(r.key) + " = ?"
	table := r.engine.QuotePath(r.table)
	switch {
	case msg.Deleted && r.deleted == nil:
		_, err := tx.ExecContext(ctx, r.engine.Bind("DELETE FROM "+table+where), string(k.Key))
		return err
	case msg.Deleted && r.deleted.time:
		_, err := tx.ExecContext(ctx, r.engine.Bind("UPDATE "+table+" SET "+r.engine.QuotePath(r.deleted.column)+" = ?"+where), r.at(time.Now()), string(k.Key))
		return err
	case msg.Deleted:
		_, err := tx.ExecContext(ctx, r.engine.Bind("UPDATE "+table+" SET "+r.engine.QuotePath(r.deleted.column)+" = "+r.deleted.value+where), string(k.Key))
		return err
	}
	body, exact := r.body(msg.Text)
	if !exact {
		r.move.log.Warn("adopt: the old chat reads this text as another one", "room", msg.Room, "seq", msg.Seq)
	}
	set, args := r.engine.QuotePath(r.text)+" = ?", []any{body}
	if r.edited != "" && msg.Edited != nil {
		set, args = set+", "+r.engine.QuotePath(r.edited)+" = ?", append(args, r.at(*msg.Edited))
	}
	_, err := tx.ExecContext(ctx, r.engine.Bind("UPDATE "+table+" SET "+set+where), append(args, string(k.Key))...)
	return err
}
