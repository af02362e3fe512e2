package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// DeltaRows reads each source only as far as the limit, in one read transaction.
func (s *Shard) DeltaRows(ctx context.Context, room chat.RoomID, after chat.Rev, limit int) (*store.DeltaRows, error) {
	var d store.DeltaRows
	err := s.db.snapshot(ctx, "delta", func(tx *sql.Tx) error {
		if err := scanRoom(tx.Stmt(s.find.room).QueryRow(room.Slot(), room), room, &d.Room); err != nil {
			return err
		}
		if d.Room.Deleted {
			return sql.ErrNoRows
		}
		if after >= d.Room.Rev {
			return nil
		}
		return s.fillDelta(tx, &d, after, limit)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, notFound("delta", string(room))
	}
	if err != nil {
		return nil, err
	}
	return &d, nil
}

func (s *Shard) fillDelta(tx *sql.Tx, d *store.DeltaRows, after chat.Rev, limit int) (err error) {
	if d.Created, err = s.createdAfter(tx, &d.Room, after, limit); err != nil {
		return err
	}
	if d.Changed, err = messages(tx.Stmt(s.list.changed), d.Room.ID, limit, after, limit); err != nil {
		return err
	}
	if d.Members, err = s.membersAfter(tx, d.Room.ID, after, limit); err != nil {
		return err
	}
	reactions := tx.Stmt(s.find.reactions)
	if err := fillReactions(reactions, d.Created); err != nil {
		return err
	}
	for i := range d.Changed {
		if d.Changed[i].Created > after {
			continue // the merge drops it
		}
		if err := fillReactions(reactions, d.Changed[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// createdAfter returns the first messages that were created after the rev, up to
// limit. There is no index on the rev of creation. But it grows with seq, and
// each rev creates at most one message, so that they are among the newest
// Rev - after messages; bisecting finds where they begin, near enough for the
// rest to be skipped while reading.
func (s *Shard) createdAfter(tx *sql.Tx, r *chat.Room, after chat.Rev, limit int) ([]chat.Message, error) {
	st := tx.Stmt(s.list.createdRev)
	// Everything up to low was created at after or before, everything from
	// high on after it.
	low := max(0, r.LastSeq-chat.Seq(r.Rev-max(after, 0)))
	high := r.LastSeq + 1
	for int(high-low) > limit {
		mid := low + (high-low)/2
		var rev chat.Rev
		err := st.QueryRow(r.ID.Slot(), r.ID, mid).Scan((*int64)(&rev))
		if errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("message %d of %d is missing", mid, r.LastSeq)
		}
		if err != nil {
			return nil, err
		}
		if rev > after {
			high = mid
		} else {
			low = mid
		}
	}
	return messages(tx.Stmt(s.list.created), r.ID, limit, low, after, limit)
}

func (s *Shard) membersAfter(tx *sql.Tx, room chat.RoomID, after chat.Rev, limit int) ([]chat.Member, error) {
	rows, err := tx.Stmt(s.list.memberRevs).Query(room.Slot(), room, after, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, 0, func(m *chat.Member) error { return scanMember(rows, room, m) })
}
