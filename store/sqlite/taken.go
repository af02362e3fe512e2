package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

const (
	findTaken = "SELECT queue, senders FROM taken WHERE lane = ?"
	findQueue = "SELECT queue FROM taken WHERE lane = ?"
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

// Sent is store.RoomReader.Sent.
func (s *Shard) Sent(ctx context.Context, lane store.LaneID, key store.MessageKey) (m *chat.Message, queue uint64, err error) {
	err = s.db.snapshot(ctx, "sent", func(tx *sql.Tx) error {
		m, queue = nil, 0
		var n int64
		err := tx.Stmt(s.find.queue).QueryRow(int64(lane)).Scan(&n)
		if queue = uint64(n); ignoreNoRows(err) != nil {
			return err
		}
		var r chat.Room
		if err := scanRoom(tx.Stmt(s.find.room).QueryRow(key.Room.Slot(), key.Room), key.Room, &r); r.Deleted || err != nil {
			return ignoreNoRows(err)
		}
		var seq int64
		if err := tx.Stmt(s.find.key).QueryRow(key.Room.Slot(), key.Room, key.User, key.Key).Scan(&seq); err != nil {
			return ignoreNoRows(err)
		}
		m = new(chat.Message)
		return scanMessage(tx.Stmt(s.find.message).QueryRow(key.Room.Slot(), key.Room, seq), key.Room, m)
	})
	if err != nil {
		return nil, 0, err
	}
	return m, queue, nil
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
