package sqldb

import (
	"context"
	"fmt"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

var _ store.Raiser = (*Reader)(nil)

// raise is the statement that raises revs of some slots from one base to another, by as
// much as store.Raised does. What is one message or one room is decided by one of its
// revs, by: it is the last to be set, as engines look at what they have set already.
// Numbers are in the text, as engines do not agree on the type of a placeholder there.
func raise(table, by string, from, to chat.Rev, more ...string) string {
	var set []string
	for _, column := range append(more, by) {
		set = append(set, fmt.Sprintf("%[1]s = %[1]s + CASE WHEN %[2]s < %[3]d THEN %[4]d ELSE %[5]d END", column, by, from, to, to-from))
	}
	return fmt.Sprintf("UPDATE {%s} SET %s WHERE slot >= ? AND slot < ? AND %s < %d", table, strings.Join(set, ", "), by, to)
}

// raiseSlots is how many slots are raised in one transaction: it does not grow with all
// that is in the shard.
const raiseSlots = 16

// RaiseRevs takes some slots at a time. Every row says itself whether it was raised.
func (r *Reader) RaiseRevs(ctx context.Context, from, to chat.Rev) error {
	texts := []string{
		raise("members", "rev", from, to),
		raise("messages", "created_rev", from, to, "changed_rev"),
		raise("user_rooms", "rev", from, to) + " AND rev > 0",
		raise("rooms", "rev", from, to, "info_rev", "floor"),
	}
	for slot := int64(0); slot < chat.Slots; slot += raiseSlots {
		var ss []Statement
		for _, text := range texts {
			ss = append(ss, Statement{Text: text, Args: []any{slot, slot + raiseSlots}})
		}
		if err := r.db.Exec(ctx, ss...); err != nil {
			return err
		}
	}
	err := r.db.Exec(ctx,
		Statement{Text: "UPDATE {lanes} SET epoch = ? WHERE epoch < ?", Args: []any{int64(to), int64(to)}},
		Statement{Text: "DELETE FROM {online}"}, Statement{Text: "DELETE FROM {taken}"})
	if err != nil {
		return err
	}
	return r.raiseOutbox(ctx, from, to)
}

// raisePage is how many entries of the outbox are read at a time.
const raisePage = 500

func (r *Reader) raiseOutbox(ctx context.Context, from, to chat.Rev) error {
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
			e.Raise(from, to)
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
