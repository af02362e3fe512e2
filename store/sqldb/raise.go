package sqldb

import (
	"context"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

var _ store.Raiser = (*Reader)(nil)

// raises are the statements that move revs up, by the first argument, from those below
// the last one. What is one message or one room is decided by one of its revs: they are
// raised together.
var raises = []struct {
	text  string
	moved int // columns
}{
	{"UPDATE {members} SET rev = rev + ? WHERE rev < ?", 1},
	{"UPDATE {messages} SET changed_rev = changed_rev + ?, created_rev = created_rev + ? WHERE created_rev < ?", 2},
	{"UPDATE {user_rooms} SET rev = rev + ? WHERE rev > 0 AND rev < ?", 1},
	{"UPDATE {rooms} SET info_rev = info_rev + ?, floor = floor + ?, rev = rev + ? WHERE rev < ?", 3},
}

// RaiseRevs raises the rows in one transaction, then the outbox in pages: an entry says
// itself whether it was raised.
func (r *Reader) RaiseRevs(ctx context.Context, below, by chat.Rev) error {
	var ss []Statement
	for _, raise := range raises {
		var args []any
		for range raise.moved {
			args = append(args, int64(by))
		}
		ss = append(ss, Statement{Text: raise.text, Args: append(args, int64(below))})
	}
	ss = append(ss,
		Statement{Text: "UPDATE {lanes} SET epoch = ? WHERE epoch < ?", Args: []any{int64(below), int64(below)}},
		Statement{Text: "DELETE FROM {online}"})
	if err := r.db.Exec(ctx, ss...); err != nil {
		return err
	}
	return r.raiseOutbox(ctx, below, by)
}

// raisePage is how many entries of the outbox are read at a time.
const raisePage = 500

func (r *Reader) raiseOutbox(ctx context.Context, below, by chat.Rev) error {
	type row struct {
		lane, position int64
		body           []byte
	}
	scan := func(s Scanner, v *row) error { return s.Scan(&v.lane, &v.position, &v.body) }
	for last := (row{lane: -1}); ; {
		behind, args := r.d.behind([]string{"lane", "position"}, last.lane, last.position)
		var page []row
		err := r.db.Ask(ctx, list(&page, scan, func(*row) bool { return true },
			"SELECT lane, position, body FROM {outbox} WHERE "+behind+" ORDER BY lane, position LIMIT ?", append(args, int64(raisePage))...))
		if err != nil {
			return err
		}
		var ss []Statement
		for _, v := range page {
			e, err := store.DecodeEntry(v.position, v.body)
			if err != nil {
				return err
			}
			e.Raise(below, by)
			ss = append(ss, Statement{Text: "UPDATE {outbox} SET body = ? WHERE lane = ? AND position = ?", Args: []any{e.Encode(), v.lane, v.position}})
		}
		if len(ss) > 0 {
			if err := r.db.Exec(ctx, ss...); err != nil {
				return err
			}
		}
		if len(page) < raisePage {
			return nil
		}
		last = page[len(page)-1]
	}
}
