package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/roomtide/roomtide/store"
)

const (
	findTaken = "SELECT queue, senders FROM taken WHERE lane = ?"
	putTakens = "INSERT INTO taken (lane, queue, senders) VALUES (?, ?, ?) " +
		"ON CONFLICT (lane) DO UPDATE SET queue = excluded.queue, senders = excluded.senders"
)

// Taken is store.Writer.Taken.
func (s *Shard) Taken(ctx context.Context, lane store.LaneID) (t store.Taken, err error) {
	err = s.db.ownSnapshot(ctx, "taken", func(w *writer) error {
		var queue int64
		err := w.row(findTaken, func(r scanner) error { return r.Scan(&queue, &t.Senders) }, int64(lane))
		t.Queue = uint64(queue)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return t, err
}

// putTaken writes what the lane has taken, unless it is nil.
func putTaken(w *writer, lane store.LaneID, t *store.Taken) error {
	if t == nil {
		return nil
	}
	senders := t.Senders
	if senders == nil {
		senders = []byte{}
	}
	_, err := w.exec(putTakens, int64(lane), int64(t.Queue), senders)
	return err
}
