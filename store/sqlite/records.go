package sqlite

import (
	"context"

	"github.com/roomtide/roomtide/store"
)

func (c *Control) Records(ctx context.Context, collection, after string, limit int) ([]store.Record, error) {
	rows, err := c.db.r.QueryContext(ctx,
		"SELECT id, body FROM records WHERE collection = ? AND id > ? ORDER BY id LIMIT ?", collection, after, limit)
	if err != nil {
		return nil, c.db.fail("records", err)
	}
	records, err := collect(rows, 0, func(r *store.Record) error { return rows.Scan(&r.ID, &r.Body) })
	return records, c.db.fail("records", err)
}

func (c *Control) CountRecords(ctx context.Context, collection string) (n int, err error) {
	err = c.db.r.QueryRowContext(ctx, "SELECT count(*) FROM records WHERE collection = ?", collection).Scan(&n)
	return n, c.db.fail("count_records", err)
}

func (c *Control) SaveRecords(ctx context.Context, collection string, records ...store.Record) error {
	const upsert = "INSERT INTO records (collection, id, body) VALUES (?, ?, ?) ON CONFLICT (collection, id) DO UPDATE SET body = excluded.body"
	return c.db.write(ctx, "save_records", func(w *writer) error {
		for _, r := range records {
			if _, err := w.exec(upsert, collection, r.ID, r.Body); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *Control) DropRecords(ctx context.Context, collection string, ids ...string) error {
	return c.db.write(ctx, "drop_records", func(w *writer) error {
		for _, id := range ids {
			if _, err := w.exec("DELETE FROM records WHERE collection = ? AND id = ?", collection, id); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *Control) Collections(ctx context.Context) ([]string, error) {
	rows, err := c.db.r.QueryContext(ctx, "SELECT DISTINCT collection FROM records ORDER BY collection")
	if err != nil {
		return nil, c.db.fail("collections", err)
	}
	names, err := collect(rows, 0, func(n *string) error { return rows.Scan(n) })
	return names, c.db.fail("collections", err)
}
