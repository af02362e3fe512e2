package sqlite

import (
	"context"
	"database/sql"

	"github.com/roomtide/roomtide/store"
)

// putOutbox writes the commit's outbox entry and the cursors, and deletes what
// every consumer has passed.
func (s *Shard) putOutbox(tx *sql.Tx, lane store.LaneID, position int64, ch *store.Changes) error {
	if ch.Outbox != nil {
		if _, err := tx.Stmt(s.put.outbox).Exec(lane, position, ch.Outbox); err != nil {
			return err
		}
	}
	err := each(tx, s.put.cursor, ch.Cursors, func(st *sql.Stmt, c *store.Cursor) (err error) {
		if c.Drop {
			_, err = tx.Stmt(s.put.dropCursor).Exec(lane, c.Consumer)
		} else {
			_, err = st.Exec(lane, c.Consumer, c.Position)
		}
		return err
	})
	if err != nil || len(ch.Cursors) == 0 {
		return err
	}
	_, err = tx.Stmt(s.put.trim).Exec(lane)
	return err
}

func (s *Shard) Outbox(ctx context.Context, lane store.LaneID, after int64, limit int) ([]store.OutboxRow, error) {
	ctx, err := brief(ctx)
	if err != nil {
		return nil, s.db.fail("outbox", err)
	}
	rows, err := s.list.outbox.QueryContext(ctx, lane, after, max(limit, 0))
	if err != nil {
		return nil, s.db.fail("outbox", err)
	}
	out, err := collect(rows, 0, func(r *store.OutboxRow) error { return rows.Scan(&r.Position, &r.Body) })
	return out, s.db.fail("outbox", err)
}

func (s *Shard) Cursors(ctx context.Context, lane store.LaneID) ([]store.Cursor, error) {
	ctx, err := brief(ctx)
	if err != nil {
		return nil, s.db.fail("cursors", err)
	}
	rows, err := s.list.cursors.QueryContext(ctx, lane)
	if err != nil {
		return nil, s.db.fail("cursors", err)
	}
	cs, err := collect(rows, 0, func(c *store.Cursor) error { return rows.Scan(&c.Consumer, &c.Position) })
	return cs, s.db.fail("cursors", err)
}
