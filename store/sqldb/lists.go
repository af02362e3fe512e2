package sqldb

import (
	"context"
	"math"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func (r *Reader) ListRooms(ctx context.Context, f store.RoomFilter) (rooms []chat.Room, err error) {
	where, args, order := "room_id > ?", []any{string(f.After.Room)}, "room_id"
	if f.Order == store.ByActivity {
		if f.After == (store.RoomCursor{}) {
			f.After.Active = math.MaxInt64
		}
		where, order = "(active < ? OR active = ? AND room_id > ?)", "active DESC, room_id"
		args = []any{f.After.Active, f.After.Active, string(f.After.Room)}
	}
	if f.Prefix != "" {
		where, args = where+" AND room_id >= ?", append(args, f.Prefix)
	}
	if end := f.PrefixEnd(); end != "" {
		where, args = where+" AND room_id < ?", append(args, end)
	}
	where += " AND deleted = 0"
	if !f.Archived {
		where += " AND archived = 0"
	}
	if f.Open != nil {
		where, args = where+" AND open = ?", append(args, Flag(*f.Open))
	}
	err = r.db.Ask(ctx, list(&rooms, scanRoom, func(*chat.Room) bool { return true },
		"SELECT "+roomColumns+" FROM {rooms} WHERE "+where+" ORDER BY "+order+" LIMIT ?", append(args, int64(max(f.Limit, 0)))...))
	return rooms, err
}

// Others asks a question for each range.
func (r *Reader) Others(ctx context.Context, ranges []store.Range) ([]store.Others, error) {
	const text = "SELECT coalesce(min(room_id), ''), count(*), coalesce(min(seq), 0) FROM {messages} " +
		"WHERE slot = ? AND room_id = ? AND seq BETWEEN ? AND ? AND user_id <> ? AND deleted = 0"
	out := make([]store.Others, len(ranges))
	var qs []Question
	for i := range ranges {
		r, o := &ranges[i], &out[i]
		if r.To <= r.From {
			continue
		}
		qs = append(qs, Question{Text: text, Args: append(roomArgs(r.Room), int64(r.From+1), int64(r.To), string(r.User)), Row: func(s Scanner) error {
			var of chat.RoomID
			var n int64
			var first chat.Seq
			err := s.Scan((*string)(&of), &n, (*int64)(&first))
			if err == nil && n > 0 && (of != r.Room || first <= r.From || first > r.To) {
				err = errMixed
			}
			if o.Count = int(n); r.First {
				o.First = first
			}
			return err
		}})
	}
	if err := r.db.Ask(ctx, qs...); err != nil {
		return nil, err
	}
	return out, nil
}

func (r *Reader) MessagesBy(ctx context.Context, user chat.UserID, after store.MessageRef, limit int) (found []store.MessageRef, last store.MessageRef, err error) {
	at := int64(-1) // before the first
	if after.Room != "" {
		at = int64(after.Room.Slot())
	}
	behind, args := r.d.behind([]string{"slot", "room_id", "seq"}, at, string(after.Room), int64(after.Seq))
	n := 0
	err = r.db.Ask(ctx, Question{
		Text: "SELECT room_id, seq, user_id, deleted FROM {messages} WHERE " + behind + " ORDER BY slot, room_id, seq LIMIT ?",
		Args: append(args, int64(max(limit, 0))),
		Row: func(s Scanner) error {
			var by chat.UserID
			var deleted int64
			err := s.Scan((*string)(&last.Room), (*int64)(&last.Seq), (*string)(&by), &deleted)
			if err == nil && int64(last.Room.Slot()) < at {
				err = errMixed
			}
			if n++; by == user && deleted == 0 {
				found = append(found, last)
			}
			return err
		},
	})
	if n < limit {
		last = store.MessageRef{}
	}
	return found, last, err
}
