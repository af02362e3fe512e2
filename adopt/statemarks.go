package adopt

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
)

// roomUser is a user in a room.
type roomUser struct{ room, user string }

// marks returns up to where the marks are known on both sides, without those that were
// never seen.
func (s *State) marks(ctx context.Context, all []readItem) (map[roomUser]int64, error) {
	found := map[roomUser]int64{}
	if len(all) == 0 {
		return found, nil
	}
	var args []any
	for i := range all {
		args = append(args, all[i].Room, all[i].User)
	}
	rows, err := s.db.QueryContext(ctx, "SELECT room, user, seq FROM marks WHERE (room, user) IN (VALUES (?, ?)"+repeat(", (?, ?)", len(all)-1)+")", args...)
	err = each(rows, err, func() error {
		var p roomUser
		var seq int64
		err := rows.Scan(&p.room, &p.user, &seq)
		found[p] = seq
		return err
	})
	return found, err
}

// putMark notes up to where both sides have a mark. It only moves forward.
func putMark(ctx context.Context, tx *sql.Tx, p roomUser, seq int64) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO marks (room, user, seq) VALUES (?, ?, ?) ON CONFLICT (room, user) DO UPDATE SET seq = max(seq, excluded.seq)", p.room, p.user, seq)
	return err
}

// authors is a page of those who are in rooms as they have written there.
func (s *State) authors(ctx context.Context, after roomUser, limit int) (page []roomUser, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT room, user FROM members WHERE (room, user) > (?, ?) ORDER BY room, user LIMIT ?", after.room, after.user, limit)
	err = each(rows, err, func() error {
		var p roomUser
		err := rows.Scan(&p.room, &p.user)
		page = append(page, p)
		return err
	})
	return page, err
}

// lastUntil is the newest message of a room that is not younger, 0 if there is none.
func (s *State) lastUntil(ctx context.Context, room string, at time.Time) (int64, error) {
	return s.last(ctx, "SELECT seq FROM rows WHERE room = ? AND time <= ? ORDER BY seq DESC LIMIT 1", room, at.UnixMilli())
}

// lastUpTo is the newest message of a room whose row has that key or a lower one, 0 if
// there is none: the row of the key itself may be gone.
func (s *State) lastUpTo(ctx context.Context, room string, key source.Key) (int64, error) {
	k, ok := stateKey(key).(int64)
	if !ok {
		return 0, nil
	}
	return s.last(ctx, "SELECT seq FROM rows WHERE room = ? AND key <= ? ORDER BY seq DESC LIMIT 1", room, k)
}

func (s *State) last(ctx context.Context, question string, args ...any) (seq int64, err error) {
	err = s.db.QueryRowContext(ctx, question, args...).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return seq, err
}

// rowBefore is the row of the newest message of a room up to a number that has one.
func (s *State) rowBefore(ctx context.Context, room string, seq int64) (k known, ok bool, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT key, room, user, seq, hash, deleted, time FROM rows WHERE room = ? AND seq <= ? ORDER BY seq DESC LIMIT 1", room, seq)
	err = each(rows, err, func() (err error) {
		k, err = scanKnown(rows)
		ok = true
		return err
	})
	return k, ok, err
}
