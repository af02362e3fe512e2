package sqldb

import (
	"context"

	"github.com/roomtide/roomtide/store"
)

var records = Table{"records", []Column{{Name: "collection", Kind: ID}, {Name: "id", Kind: ID}, {Name: "body", Kind: Bytes}}, 2}

func (c *Control) Records(ctx context.Context, collection, after string, limit int) (found []store.Record, err error) {
	err = c.db.Ask(ctx, list(&found, func(s Scanner, r *store.Record) error { return s.Scan(&r.ID, &r.Body) },
		func(r *store.Record) bool { return r.ID > after },
		"SELECT id, body FROM {records} WHERE collection = ? AND id > ? ORDER BY id LIMIT ?", collection, after, int64(limit)))
	return found, err
}

func (c *Control) CountRecords(ctx context.Context, collection string) (int, error) {
	var n int64
	err := c.db.Ask(ctx, Question{
		Text: "SELECT count(*) FROM {records} WHERE collection = ?", Args: []any{collection},
		Row: func(s Scanner) error { return s.Scan(&n) },
	})
	return int(n), err
}

func (c *Control) SaveRecords(ctx context.Context, collection string, rs ...store.Record) error {
	put := c.db.Dialect().Put(&records)
	statements := make([]Statement, len(rs))
	for i, r := range rs {
		statements[i] = Statement{Text: put, Args: []any{collection, r.ID, r.Body}}
	}
	return c.db.Exec(ctx, statements...)
}

func (c *Control) DropRecords(ctx context.Context, collection string, ids ...string) error {
	statements := make([]Statement, len(ids))
	for i, id := range ids {
		statements[i] = Statement{Text: "DELETE FROM {records} WHERE collection = ? AND id = ?", Args: []any{collection, id}}
	}
	return c.db.Exec(ctx, statements...)
}

func (c *Control) Collections(ctx context.Context) (names []string, err error) {
	err = c.db.Ask(ctx, list(&names, func(s Scanner, n *string) error { return s.Scan(n) }, func(*string) bool { return true },
		"SELECT DISTINCT collection FROM {records} ORDER BY collection"))
	return names, err
}
