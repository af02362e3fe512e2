package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store/sqldb"
)

// Check reads whole tables, for which the settings of the other connections are wrong.
// Damage that keeps rows from being read is a finding, not an error.
func (s *Shard) Check(ctx context.Context, owns func(chat.Slot) bool) (found []string, err error) {
	db := newEngine(s.reads.name, stdlib.OpenDB(*s.plain), s.reads.dialect)
	defer func() { err = errors.Join(err, db.Close()) }()
	found, err = sqldb.NewReader(s.reads.name, db, db, db).Check(ctx, owns)
	if code := sqlState(err); code == dataCorrupted || code == indexCorrupted {
		return []string{"not everything can be read: " + err.Error()}, nil
	}
	return found, err
}
