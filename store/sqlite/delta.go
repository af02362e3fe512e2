package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// DeltaRows reads each source only as far as there is space, in one read transaction.
func (s *Shard) DeltaRows(ctx context.Context, room chat.RoomID, after chat.Rev, space store.Space) (*store.DeltaRows, error) {
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
		return s.fillDelta(tx, &d, after, space)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, notFound("delta", string(room))
	}
	if err != nil {
		return nil, err
	}
	return &d, nil
}

func (s *Shard) fillDelta(tx *sql.Tx, d *store.DeltaRows, after chat.Rev, space store.Space) (err error) {
	if d.Created, d.MoreCreated, err = s.createdAfter(tx, &d.Room, after, space); err != nil {
		return err
	}
	if d.Changed, d.MoreChanged, err = messages(tx.Stmt(s.list.changed), d.Room.ID, space, after, space.Items+1); err != nil {
		return err
	}
	if d.Members, d.MoreMembers, err = s.membersAfter(tx, d.Room.ID, after, space); err != nil {
		return err
	}
	reactions := tx.Stmt(s.list.reactionsUp)
	fit, err := fillReactions(reactions, d.Created, space)
	if err != nil {
		return err
	}
	if fit < len(d.Created) {
		d.Created, d.MoreCreated = d.Created[:fit], true
	}
	for i := range d.Changed {
		if d.Changed[i].Created <= after { // the merge drops the others
			if _, err := fillReactions(reactions, d.Changed[i:i+1], store.Space{Items: 1}); err != nil {
				return err
			}
		}
		if !space.Take(d.Changed[i].Size()) {
			d.Changed, d.MoreChanged = d.Changed[:i], true
			break
		}
	}
	return nil
}

// createdAfter returns the first messages that were created after the rev, as far
// as there is space. There is no index on the rev of creation. But it grows with seq, and
// each rev creates at most one message, so that they are among the newest
// Rev - after messages; bisecting finds where they begin, near enough for the
// rest to be skipped while reading.
func (s *Shard) createdAfter(tx *sql.Tx, r *chat.Room, after chat.Rev, space store.Space) ([]chat.Message, bool, error) {
	st := tx.Stmt(s.list.createdRev)
	// Everything up to low was created at after or before, everything from
	// high on after it.
	low := max(0, r.LastSeq-chat.Seq(r.Rev-max(after, 0)))
	high := r.LastSeq + 1
	for int(high-low) > space.Items {
		mid := low + (high-low)/2
		var rev chat.Rev
		err := st.QueryRow(r.ID.Slot(), r.ID, mid).Scan((*int64)(&rev))
		if errors.Is(err, sql.ErrNoRows) {
			return nil, false, fmt.Errorf("message %d of %d is missing", mid, r.LastSeq)
		}
		if err != nil {
			return nil, false, err
		}
		if rev > after {
			high = mid
		} else {
			low = mid
		}
	}
	return messages(tx.Stmt(s.list.created), r.ID, space, low, after, space.Items+1)
}

func (s *Shard) membersAfter(tx *sql.Tx, room chat.RoomID, after chat.Rev, space store.Space) ([]chat.Member, bool, error) {
	rows, err := tx.Stmt(s.list.memberRevs).Query(room.Slot(), room, after, space.Items+1)
	if err != nil {
		return nil, false, err
	}
	return collectWhile(rows, 0, func(m *chat.Member) (bool, error) {
		err := scanMember(rows, room, m)
		return space.Take(m.Size()), err
	})
}
