package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/roomtide/roomtide/chat"
)

// Delta merges three sources, each in the order of its own rev and each read
// only as far as the page needs: messages created after the rev, messages
// changed after it, members changed after it. If a source has more than limit
// rows it is known up to the last row taken; the page is whole up to the
// smallest of these points, and what lies behind it is left for the next page.
//
// Rows are as they are now, so a message that was created inside the page and
// changed behind it is told with its later rev, and once more by the page that
// holds the change. It rests on what Writer promises: a rev belongs to one
// change, and the revs of creation grow with seq.
func (s *Shard) Delta(ctx context.Context, room chat.RoomID, after chat.Rev, limit int) (d chat.Delta, err error) {
	err = s.db.snapshot(ctx, "delta", func(tx *sql.Tx) error {
		d = chat.Delta{After: after}
		if err := scanRoom(tx.Stmt(s.find.room).QueryRow(room.Slot(), room), room, &d.Room); err != nil {
			return err
		}
		d.Rev = d.Room.Rev
		if after >= d.Room.Rev {
			return nil
		}
		d.Info = d.Room.InfoRev > after
		return s.fillDelta(tx, &d, max(limit, 1))
	})
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Delta{}, notFound("delta", string(room))
	}
	if err != nil {
		return chat.Delta{}, err
	}
	return d, nil
}

func (s *Shard) fillDelta(tx *sql.Tx, d *chat.Delta, limit int) error {
	created, err := s.createdAfter(tx, d, limit)
	if err != nil {
		return err
	}
	changed, err := messages(tx.Stmt(s.list.changed), d.Room.ID, limit+1, d.After, limit+1)
	if err != nil {
		return err
	}
	members, err := s.membersAfter(tx, d, limit)
	if err != nil {
		return err
	}
	end := chat.Rev(math.MaxInt64)
	created = page(created, limit, &end, func(m *chat.Message) chat.Rev { return m.Created })
	changed = page(changed, limit, &end, func(m *chat.Message) chat.Rev { return m.Rev })
	members = page(members, limit, &end, func(m *chat.Member) chat.Rev { return m.Rev })
	if end < d.Room.Rev {
		d.Rev, d.More = end, true
	}
	created = slices.DeleteFunc(created, func(m chat.Message) bool { return m.Created > d.Rev })
	changed = slices.DeleteFunc(changed, func(m chat.Message) bool { return m.Rev > d.Rev || m.Created > d.After })
	d.Members = slices.DeleteFunc(members, func(m chat.Member) bool { return m.Rev > d.Rev })

	reactions := tx.Stmt(s.find.reactions)
	if err := fillReactions(reactions, created); err != nil {
		return err
	}
	for i := range changed {
		if err := fillReactions(reactions, changed[i:i+1]); err != nil {
			return err
		}
	}
	d.Messages = append(created, changed...)
	slices.SortFunc(d.Messages, func(a, b chat.Message) int { return cmp.Compare(a.Rev, b.Rev) })
	return nil
}

// page cuts rows, one more than limit if there are more, to limit, and lowers
// end to the last rev kept if something was cut.
func page[T any](rows []T, limit int, end *chat.Rev, rev func(*T) chat.Rev) []T {
	if len(rows) <= limit {
		return rows
	}
	rows = rows[:limit]
	*end = min(*end, rev(&rows[limit-1]))
	return rows
}

// createdAfter returns the first messages that were created after d.After, up
// to limit+1. There is no index on the rev of creation. But it grows with seq,
// and each rev creates at most one message, so that they are among the newest
// Rev - After messages; bisecting finds where they begin, near enough for the
// rest to be skipped while reading.
func (s *Shard) createdAfter(tx *sql.Tx, d *chat.Delta, limit int) ([]chat.Message, error) {
	r := &d.Room
	st := tx.Stmt(s.list.createdRev)
	// Everything up to low was created at d.After or before, everything from
	// high on after it.
	low := max(0, r.LastSeq-chat.Seq(r.Rev-max(d.After, 0)))
	high := r.LastSeq + 1
	for int(high-low) > limit+1 {
		mid := low + (high-low)/2
		var rev chat.Rev
		err := st.QueryRow(r.ID.Slot(), r.ID, mid).Scan((*int64)(&rev))
		if errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("message %d of %d is missing", mid, r.LastSeq)
		}
		if err != nil {
			return nil, err
		}
		if rev > d.After {
			high = mid
		} else {
			low = mid
		}
	}
	return messages(tx.Stmt(s.list.created), r.ID, limit+1, low, d.After, limit+1)
}

func (s *Shard) membersAfter(tx *sql.Tx, d *chat.Delta, limit int) ([]chat.Member, error) {
	rows, err := tx.Stmt(s.list.memberRevs).Query(d.Room.ID.Slot(), d.Room.ID, d.After, limit+1)
	if err != nil {
		return nil, err
	}
	return collect(rows, 0, func(m *chat.Member) error { return scanMember(rows, d.Room.ID, m) })
}
