package sqlite

import (
	"context"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

var _ store.Raiser = (*Shard)(nil)

// raises are the statements that move revs up, from those below ?1, by ?2. What is one
// message or one room is decided by one of its revs: they are raised together.
var raises = []string{
	"UPDATE rooms SET rev = rev + ?2, info_rev = info_rev + ?2, floor = floor + ?2 WHERE rev < ?1",
	"UPDATE members SET rev = rev + ?2 WHERE rev < ?1",
	"UPDATE messages SET created_rev = created_rev + ?2, changed_rev = changed_rev + ?2 WHERE created_rev < ?1",
	"UPDATE user_rooms SET rev = rev + ?2 WHERE rev BETWEEN 1 AND ?1 - 1",
}

// RaiseRevs writes every message anew, in one transaction.
func (s *Shard) RaiseRevs(ctx context.Context, below, by chat.Rev) error {
	return s.db.write(ctx, "raise_revs", func(w *writer) error {
		for _, text := range raises {
			if _, err := w.exec(text, int64(below), int64(by)); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if _, err := w.exec("UPDATE lanes SET epoch = ?1 WHERE epoch < ?1", int64(below)); err != nil {
			return err
		}
		if _, err := w.exec("DELETE FROM online"); err != nil {
			return err
		}
		return raiseOutbox(w, below, by)
	})
}

// raisePage is how many entries of the outbox are read at a time.
const raisePage = 500

func raiseOutbox(w *writer, below, by chat.Rev) error {
	const (
		read  = "SELECT lane, position, body FROM outbox WHERE (lane, position) > (?, ?) ORDER BY lane, position " + upTo
		write = "UPDATE outbox SET body = ? WHERE lane = ? AND position = ?"
	)
	type row struct {
		lane, position int64
		body           []byte
	}
	for last := (row{lane: -1}); ; {
		var page []row
		err := w.each(read, func(s scanner) error {
			var r row
			err := s.Scan(&r.lane, &r.position, &r.body)
			page = append(page, r)
			return err
		}, last.lane, last.position, int64(raisePage))
		if err != nil {
			return err
		}
		for _, r := range page {
			e, err := store.DecodeEntry(r.position, r.body)
			if err != nil {
				return err
			}
			e.Raise(below, by)
			if _, err := w.exec(write, e.Encode(), r.lane, r.position); err != nil {
				return err
			}
		}
		if len(page) < raisePage {
			return nil
		}
		last = page[len(page)-1]
	}
}
