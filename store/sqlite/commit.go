package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// puts are the statements that write.
type puts struct {
	acquire, advance               *sql.Stmt
	room, member, userRoom         *sql.Stmt
	insert, update, react, unreact *sql.Stmt
	online, offline, nodeOffline   *sql.Stmt
	outbox, cursor                 *sql.Stmt
	dropCursor, trim               *sql.Stmt
}

func (p *puts) queries() []query {
	return []query{
		{&p.acquire, `INSERT INTO lanes (lane, epoch, position) VALUES (?, 1, 0)
			ON CONFLICT (lane) DO UPDATE SET epoch = epoch + 1 RETURNING epoch, position`},
		{&p.advance, "UPDATE lanes SET position = position + 1 WHERE lane = ? AND epoch = ? AND position = ?"},
		{&p.room, `INSERT INTO rooms (slot, room_id, title, open, read_only, last_seq, rev, info_rev, members, created)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (slot, room_id) DO UPDATE SET title = excluded.title, open = excluded.open,
				read_only = excluded.read_only, last_seq = excluded.last_seq, rev = excluded.rev,
				info_rev = excluded.info_rev, members = excluded.members, created = excluded.created`},
		{&p.member, `INSERT INTO members (slot, room_id, user_id, name, role, rev, since) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (slot, room_id, user_id) DO UPDATE SET name = excluded.name, role = excluded.role,
				rev = excluded.rev, since = excluded.since`},
		{&p.userRoom, `INSERT INTO user_rooms (slot, user_id, room_id, role, rev, read_seq) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (slot, user_id, room_id) DO UPDATE SET role = excluded.role, rev = excluded.rev,
				read_seq = excluded.read_seq`},
		{&p.insert, `INSERT INTO messages (slot, room_id, seq, created_rev, changed_rev, user_id, ts, text, key, digest,
			reply_to, data, edited, deleted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{&p.update, `UPDATE messages SET changed_rev = ?, text = ?, data = ?, edited = ?, deleted = ?
			WHERE slot = ? AND room_id = ? AND seq = ?`},
		{&p.react, `INSERT INTO reactions (slot, room_id, seq, emoji, user_id, ts) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET ts = excluded.ts`},
		{&p.unreact, "DELETE FROM reactions WHERE slot = ? AND room_id = ? AND seq = ? AND emoji = ? AND user_id = ?"},
		{&p.online, "INSERT INTO online (slot, room_id, user_id, node) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"},
		{&p.offline, "DELETE FROM online WHERE slot = ? AND room_id = ? AND user_id = ? AND node = ?"},
		{&p.nodeOffline, "DELETE FROM online WHERE node = ?"},
		{&p.outbox, "INSERT INTO outbox (lane, position, body) VALUES (?, ?, ?)"},
		{&p.cursor, `INSERT INTO cursors (lane, consumer, position) VALUES (?, ?, ?)
			ON CONFLICT (lane, consumer) DO UPDATE SET position = excluded.position`},
		{&p.dropCursor, "DELETE FROM cursors WHERE lane = ? AND consumer = ?"},
		{&p.trim, `DELETE FROM outbox WHERE lane = ?1
			AND position <= (SELECT min(position) FROM cursors WHERE lane = ?1)`},
	}
}

func (s *Shard) Acquire(ctx context.Context, lane store.LaneID) (at store.Position, err error) {
	err = s.db.write(ctx, "acquire", func(tx *sql.Tx) error {
		return tx.Stmt(s.put.acquire).QueryRow(lane).Scan(&at.Epoch, &at.N)
	})
	return at, err
}

// Commit writes row by row with prepared statements: here that is faster than
// one statement with many rows.
func (s *Shard) Commit(ctx context.Context, lane store.LaneID, at store.Position, ch *store.Changes) error {
	return s.db.write(ctx, "commit", func(tx *sql.Tx) error {
		n, err := affected(tx.Stmt(s.put.advance).Exec(lane, at.Epoch, at.N))
		if err != nil {
			return err
		}
		if n != 1 {
			return &chat.Error{Kind: chat.Fenced, Op: "sqlite.commit", Subject: s.db.path,
				Err: fmt.Errorf("lane %d does not stand at %d of epoch %d", lane, at.N, at.Epoch)}
		}
		for _, put := range []func(*sql.Tx, *store.Changes) error{
			s.putRooms, s.putMembers, s.putNew, s.putChanged, s.putReactions, s.putUserRooms, s.putOnline,
		} {
			if err := put(tx, ch); err != nil {
				return err
			}
		}
		return s.putOutbox(tx, lane, at.Next().N, ch)
	})
}

// each runs st with the arguments of every item. It takes no time for none.
func each[T any](tx *sql.Tx, st *sql.Stmt, items []T, run func(*sql.Stmt, *T) error) error {
	if len(items) == 0 {
		return nil
	}
	st = tx.Stmt(st)
	for i := range items {
		if err := run(st, &items[i]); err != nil {
			return err
		}
	}
	return nil
}

func affected(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (s *Shard) putRooms(tx *sql.Tx, ch *store.Changes) error {
	return each(tx, s.put.room, ch.Rooms, func(st *sql.Stmt, r *chat.Room) error {
		_, err := st.Exec(r.ID.Slot(), r.ID, r.Title, r.Open, r.ReadOnly, r.LastSeq, r.Rev, r.InfoRev, r.Members, r.Created)
		return err
	})
}

func (s *Shard) putMembers(tx *sql.Tx, ch *store.Changes) error {
	return each(tx, s.put.member, ch.Members, func(st *sql.Stmt, m *chat.Member) error {
		_, err := st.Exec(m.Room.Slot(), m.Room, m.User, m.Name, m.Role, m.Rev, m.Since)
		return err
	})
}

func (s *Shard) putNew(tx *sql.Tx, ch *store.Changes) error {
	return each(tx, s.put.insert, ch.Insert, func(st *sql.Stmt, m *chat.Message) error {
		var key, changed any // NULL unless there is one
		if m.Key != "" {
			key = m.Key
		}
		if m.Rev != m.Created {
			changed = m.Rev
		}
		_, err := st.Exec(m.Room.Slot(), m.Room, m.Seq, m.Created, changed, m.User, m.Time, m.Text, key, m.Digest,
			m.ReplyTo, m.Data, m.Edited, m.Deleted)
		return err
	})
}

func (s *Shard) putChanged(tx *sql.Tx, ch *store.Changes) error {
	return each(tx, s.put.update, ch.Update, func(st *sql.Stmt, m *chat.Message) error {
		n, err := affected(st.Exec(m.Rev, m.Text, m.Data, m.Edited, m.Deleted, m.Room.Slot(), m.Room, m.Seq))
		if err == nil && n != 1 {
			err = fmt.Errorf("message %d to update does not exist", m.Seq)
		}
		return err
	})
}

func (s *Shard) putReactions(tx *sql.Tx, ch *store.Changes) error {
	return each(tx, s.put.react, ch.Reactions, func(st *sql.Stmt, r *store.ReactionChange) (err error) {
		if r.On {
			_, err = st.Exec(r.Room.Slot(), r.Room, r.Seq, r.Emoji, r.User, r.Time)
		} else {
			_, err = tx.Stmt(s.put.unreact).Exec(r.Room.Slot(), r.Room, r.Seq, r.Emoji, r.User)
		}
		return err
	})
}

func (s *Shard) putUserRooms(tx *sql.Tx, ch *store.Changes) error {
	return each(tx, s.put.userRoom, ch.UserRooms, func(st *sql.Stmt, u *store.UserRoom) error {
		_, err := st.Exec(u.User.Slot(), u.User, u.Room, u.Role, u.Rev, u.Read)
		return err
	})
}

func (s *Shard) putOnline(tx *sql.Tx, ch *store.Changes) error {
	var offline *sql.Stmt // in tx; made for the first
	return each(tx, s.put.online, ch.Online, func(st *sql.Stmt, c *store.OnlineChange) (err error) {
		switch {
		case c.On:
			_, err = st.Exec(c.Room.Slot(), c.Room, c.User, c.Node)
		case c.Room == "":
			_, err = tx.Stmt(s.put.nodeOffline).Exec(c.Node)
		default:
			if offline == nil {
				offline = tx.Stmt(s.put.offline)
			}
			_, err = offline.Exec(c.Room.Slot(), c.Room, c.User, c.Node)
		}
		return err
	})
}
