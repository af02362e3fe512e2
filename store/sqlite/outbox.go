package sqlite

import (
	"context"

	"github.com/roomtide/roomtide/store"
)

// putOutbox writes the commit's outbox entry and the cursors, and deletes what
// every consumer has passed.
func putOutbox(w *writer, lane store.LaneID, position int64, ch *store.Changes) error {
	if ch.Outbox != nil {
		if _, err := w.exec(insertOutbox, int64(lane), position, ch.Outbox); err != nil {
			return err
		}
	}
	for _, c := range ch.Cursors {
		var err error
		if c.Drop {
			_, err = w.exec(deleteCursor, int64(lane), c.Consumer)
		} else {
			_, err = w.exec(putCursor, int64(lane), c.Consumer, c.Position)
		}
		if err != nil {
			return err
		}
	}
	if len(ch.Cursors) == 0 {
		return nil
	}
	_, err := w.exec(trimOutbox, int64(lane))
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

func (s *Shard) Position(ctx context.Context, lane store.LaneID) (position int64, err error) {
	ctx, err = brief(ctx)
	if err != nil {
		return 0, s.db.fail("position", err)
	}
	err = s.find.position.QueryRowContext(ctx, lane).Scan(&position)
	return position, s.db.fail("position", ignoreNoRows(err))
}
