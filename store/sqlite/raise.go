package sqlite

import (
	"context"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

var _ store.Raiser = (*Shard)(nil)

// raises are the statements that raise revs from one base, ?1, to another, ?2, by as much
// as store.Raised does. What is one message or one room is decided by one of its revs:
// they are raised together.
var raises = []string{
	raise("rooms", "rev", "rev", "info_rev", "floor"),
	raise("members", "rev", "rev"),
	raise("messages", "created_rev", "created_rev", "changed_rev"),
	raise("user_rooms", "rev", "rev") + " AND rev <> 0",
}

func raise(table, by string, columns ...string) string {
	var set []string
	for _, c := range columns {
		set = append(set, c+" = "+c+" + ?2 - CASE WHEN "+by+" < ?1 THEN 0 ELSE ?1 END")
	}
	return "UPDATE " + table + " SET " + strings.Join(set, ", ") + " WHERE " + by + " < ?2"
}

// RaiseRevs writes every message anew, in one transaction.
func (s *Shard) RaiseRevs(ctx context.Context, from, to chat.Rev) error {
	return s.db.write(ctx, "raise_revs", func(w *writer) error {
		for _, text := range raises {
			if _, err := w.exec(text, int64(from), int64(to)); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if _, err := w.exec("UPDATE lanes SET epoch = ?1 WHERE epoch < ?1", int64(to)); err != nil {
			return err
		}
		for _, text := range []string{"DELETE FROM online", "DELETE FROM taken"} {
			if _, err := w.exec(text); err != nil {
				return err
			}
		}
		return raiseOutbox(w, from, to)
	})
}

// raisePage is how many entries of the outbox are read at a time.
const raisePage = 500

func raiseOutbox(w *writer, from, to chat.Rev) error {
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
			e.Raise(from, to)
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
