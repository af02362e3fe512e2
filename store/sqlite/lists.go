package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func (s *Shard) Rooms(ctx context.Context, rooms []chat.RoomID) ([]chat.Room, error) {
	var out []chat.Room
	err := s.db.snapshot(ctx, "rooms", func(tx *sql.Tx) error {
		return s.eachRoom(tx, rooms, func(r *chat.Room) error {
			out = append(out, *r)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Shard) Heads(ctx context.Context, rooms []chat.RoomID) ([]store.Head, error) {
	var heads []store.Head
	err := s.db.snapshot(ctx, "heads", func(tx *sql.Tx) error {
		last := tx.Stmt(s.find.message)
		return s.eachRoom(tx, rooms, func(r *chat.Room) error {
			h := store.Head{Room: *r}
			if r.LastSeq > 0 {
				h.Last = new(chat.Message)
				if err := scanMessage(last.QueryRow(r.ID.Slot(), r.ID, r.LastSeq), r.ID, h.Last); err != nil {
					return err
				}
			}
			heads = append(heads, h)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return heads, nil
}

// eachRoom calls fn for those of the rooms that exist.
func (s *Shard) eachRoom(tx *sql.Tx, rooms []chat.RoomID, fn func(*chat.Room) error) error {
	find := tx.Stmt(s.find.room)
	for _, id := range rooms {
		var r chat.Room
		err := scanRoom(find.QueryRow(id.Slot(), id), id, &r)
		if errors.Is(err, sql.ErrNoRows) || err == nil && r.Deleted {
			continue
		}
		if err == nil {
			err = fn(&r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Shard) ListRooms(ctx context.Context, f store.RoomFilter) ([]chat.Room, error) {
	ctx, err := brief(ctx)
	if err != nil {
		return nil, s.db.fail("list_rooms", err)
	}
	closed, open := 0, 1 // the range of the column
	if f.Open != nil && *f.Open {
		closed = 1
	} else if f.Open != nil {
		open = 0
	}
	q, args := s.list.roomsByID, []any{f.After.Room}
	if f.Order == store.ByActivity {
		if f.After == (store.RoomCursor{}) {
			f.After.Active = math.MaxInt64
		}
		q, args = s.list.roomsByActivity, []any{f.After.Active, f.After.Active, f.After.Room}
	}
	var end any = []byte{0} // in SQLite every blob is greater than every text
	if text := f.PrefixEnd(); text != "" {
		end = text
	}
	args = append(args, f.Prefix, end, f.Archived, closed, open, max(f.Limit, 0))
	rows, err := q.QueryContext(ctx, args...)
	if err != nil {
		return nil, s.db.fail("list_rooms", err)
	}
	out, err := collect(rows, 0, func(r *chat.Room) error {
		var id string
		err := scanRoom(behind{rows, &id}, "", r)
		r.ID = chat.RoomID(id)
		return err
	})
	return out, s.db.fail("list_rooms", err)
}

// behind scans a row whose first column is a room id, which the scan that follows
// does not read.
type behind struct {
	rows scanner
	id   *string
}

func (b behind) Scan(dest ...any) error { return b.rows.Scan(append([]any{b.id}, dest...)...) }

// Others counts what is deleted apart: whether a row is stands behind its text, which
// may be long and lie on pages of its own.
func (s *Shard) Others(ctx context.Context, ranges []store.Range) ([]store.Others, error) {
	out := make([]store.Others, len(ranges))
	err := s.db.snapshot(ctx, "others", func(tx *sql.Tx) error {
		others, first := tx.Stmt(s.list.others), tx.Stmt(s.list.firstOther)
		for i := range ranges {
			r, o := &ranges[i], &out[i]
			if r.To <= r.From {
				continue
			}
			args := []any{r.Room.Slot(), r.Room, r.From + 1, r.To, r.User}
			if err := others.QueryRow(append(args, args...)...).Scan(&o.Count); err != nil {
				return err
			}
			if o.Count == 0 || !r.First {
				continue
			}
			if err := first.QueryRow(args...).Scan((*int64)(&o.First)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Shard) MessagesBy(ctx context.Context, user chat.UserID, after store.MessageRef, limit int) (found []store.MessageRef, last store.MessageRef, err error) {
	if ctx, err = brief(ctx); err != nil {
		return nil, last, s.db.fail("messages_by", err)
	}
	slot := -1 // before the first
	if after.Room != "" {
		slot = int(after.Room.Slot())
	}
	rows, err := s.list.written.QueryContext(ctx, user, slot, after.Room, after.Seq, limit)
	if err != nil {
		return nil, last, s.db.fail("messages_by", err)
	}
	n := 0
	_, err = collect(rows, 0, func(*struct{}) error {
		var at int
		var theirs bool
		err := rows.Scan(&at, (*string)(&last.Room), (*int64)(&last.Seq), &theirs)
		if n++; theirs {
			found = append(found, last)
		}
		return err
	})
	if n < limit {
		last = store.MessageRef{}
	}
	return found, last, s.db.fail("messages_by", err)
}
