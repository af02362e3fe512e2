package sqlite

import (
	"context"
	"fmt"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/planted"
	"github.com/roomtide/roomtide/store"
)

// The statements that write.
const (
	acquireLane = `INSERT INTO lanes (lane, epoch, position) VALUES (?, 1, 0)
		ON CONFLICT (lane) DO UPDATE SET epoch = epoch + 1 RETURNING epoch, position`
	advanceLane = "UPDATE lanes SET position = position + 1 WHERE lane = ? AND epoch = ? AND position = ?"

	putRoom = `INSERT INTO rooms (slot, room_id, title, open, read_only, last_seq, rev, info_rev, members, created,
			topic, avatar, data, active, archived, deleted, floor)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (slot, room_id) DO UPDATE SET title = excluded.title, open = excluded.open,
			read_only = excluded.read_only, last_seq = excluded.last_seq, rev = excluded.rev,
			info_rev = excluded.info_rev, members = excluded.members, created = excluded.created,
			topic = excluded.topic, avatar = excluded.avatar, data = excluded.data,
			active = excluded.active, archived = excluded.archived, deleted = excluded.deleted, floor = excluded.floor`
	putMember = `INSERT INTO members (slot, room_id, user_id, name, role, rev, since, avatar, data, until)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (slot, room_id, user_id) DO UPDATE SET name = excluded.name, role = excluded.role,
			rev = excluded.rev, since = excluded.since, avatar = excluded.avatar, data = excluded.data,
			until = excluded.until`
	putUserRoom = `INSERT INTO user_rooms (slot, user_id, room_id, role, rev, read_seq) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (slot, user_id, room_id) DO UPDATE SET role = excluded.role, rev = excluded.rev,
			read_seq = excluded.read_seq`

	insertMessage     = "INSERT" + insertMessageInto
	insertMessageInto = ` INTO messages (slot, room_id, seq, created_rev, changed_rev, user_id, ts, text, key, digest,
		reply_to, data, edited, deleted, name, mentions) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	updateMessage = `UPDATE messages SET changed_rev = ?, text = ?, data = ?, edited = ?, deleted = ?, mentions = ?
		WHERE slot = ? AND room_id = ? AND seq = ?`
	putReaction = `INSERT INTO reactions (slot, room_id, seq, emoji, user_id, ts) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET ts = excluded.ts`
	deleteReaction = "DELETE FROM reactions WHERE slot = ? AND room_id = ? AND seq = ? AND emoji = ? AND user_id = ?"
	unreact        = "DELETE FROM reactions WHERE slot = ? AND room_id = ? AND seq = ?"

	setOnline    = "INSERT INTO online (slot, room_id, user_id, node) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
	deleteOnline = "DELETE FROM online WHERE slot = ? AND room_id = ? AND user_id = ? AND node = ?"
	deleteNode   = "DELETE FROM online WHERE node = ?"
	insertOutbox = "INSERT INTO outbox (lane, position, body) VALUES (?, ?, ?)"
	putCursor    = `INSERT INTO cursors (lane, consumer, position) VALUES (?, ?, ?)
		ON CONFLICT (lane, consumer) DO UPDATE SET position = excluded.position`
	deleteCursor = "DELETE FROM cursors WHERE lane = ? AND consumer = ?"
	trimOutbox   = `DELETE FROM outbox WHERE lane = ?1
		AND position <= (SELECT min(position) FROM cursors WHERE lane = ?1)`
)

func (s *Shard) Acquire(ctx context.Context, lane store.LaneID) (at store.Position, err error) {
	err = s.db.write(ctx, "acquire", func(w *writer) error {
		return w.row(acquireLane, func(r scanner) error { return r.Scan(&at.Epoch, &at.N) }, int64(lane))
	})
	return at, err
}

// Commit runs a statement for each row: here that is faster than one statement
// for many rows.
func (s *Shard) Commit(ctx context.Context, lane store.LaneID, at store.Position, ch *store.Changes) error {
	return s.db.write(ctx, "commit", func(w *writer) (err error) {
		if planted.PositionApart {
			defer advanceApart(s, w, lane, at, &err)
		} else if err := s.advance(w, lane, at); err != nil {
			return err
		}
		for _, put := range []func(*writer, *store.Changes) error{
			putRooms, putMembers, putNew, putChanged, putReactions, putUserRooms, putUsers, putAccess, putPush, putOnline, putRemovals,
			putMoved,
		} {
			if err := put(w, ch); err != nil {
				return err
			}
		}
		if err := putTaken(w, lane, ch.Taken); err != nil {
			return err
		}
		return putOutbox(w, lane, at.Next().N, ch)
	})
}

// advance moves the position of the lane on, if it stands there.
func (s *Shard) advance(w *writer, lane store.LaneID, at store.Position) error {
	n, err := w.exec(advanceLane, int64(lane), at.Epoch, at.N)
	if err == nil && n != 1 && !planted.FenceUnchecked {
		return &chat.Error{Kind: chat.Fenced, Op: "sqlite.commit", Subject: s.db.path,
			Err: fmt.Errorf("lane %d does not stand at %d of epoch %d", lane, at.N, at.Epoch)}
	}
	return err
}

// advanceApart ends the transaction and moves the position in another one (package planted).
func advanceApart(s *Shard, w *writer, lane store.LaneID, at store.Position, err *error) {
	for _, text := range []string{"COMMIT", "BEGIN IMMEDIATE"} {
		if *err == nil {
			_, *err = w.exec(text)
		}
	}
	if *err == nil {
		*err = s.advance(w, lane, at)
	}
}

func putRooms(w *writer, ch *store.Changes) error {
	for i := range ch.Rooms {
		r := &ch.Rooms[i]
		if _, err := w.exec(putRoom, int64(r.ID.Slot()), string(r.ID), r.Title, r.Open, r.ReadOnly, int64(r.LastSeq),
			int64(r.Rev), int64(r.InfoRev), int64(r.Members), r.Created,
			r.Topic, r.Avatar, r.Data, r.Active, r.Archived, r.Deleted, int64(r.Floor)); err != nil {
			return err
		}
	}
	return nil
}

func putMembers(w *writer, ch *store.Changes) error {
	for i := range ch.Members {
		m := &ch.Members[i]
		if _, err := w.exec(putMember, int64(m.Room.Slot()), string(m.Room), string(m.User), m.Name, int64(m.Role),
			int64(m.Rev), m.Since, m.Avatar, m.Data, m.Until); err != nil {
			return err
		}
	}
	return nil
}

func putNew(w *writer, ch *store.Changes) error {
	for i := range ch.Insert {
		if err := putMessage(w, insertMessage, &ch.Insert[i]); err != nil {
			return err
		}
	}
	return nil
}

// putMessage runs a statement that writes all of a message.
func putMessage(w *writer, statement string, m *chat.Message) error {
	var key, changed any // NULL unless there is one
	if m.Key != "" {
		key = m.Key
	}
	if m.Rev != m.Created {
		changed = int64(m.Rev)
	}
	_, err := w.exec(statement, int64(m.Room.Slot()), string(m.Room), int64(m.Seq), int64(m.Created), changed,
		string(m.User), m.Time, m.Text, key, m.Digest, int64(m.ReplyTo), m.Data, m.Edited, m.Deleted, m.Name, store.JoinMentions(m.Mentions))
	return err
}

func putChanged(w *writer, ch *store.Changes) error {
	for i := range ch.Update {
		m := &ch.Update[i]
		n, err := w.exec(updateMessage, int64(m.Rev), m.Text, m.Data, m.Edited, m.Deleted, store.JoinMentions(m.Mentions),
			int64(m.Room.Slot()), string(m.Room), int64(m.Seq))
		if err != nil {
			return err
		}
		if n != 1 {
			return fmt.Errorf("message %d to update does not exist", m.Seq)
		}
	}
	return nil
}

func putReactions(w *writer, ch *store.Changes) error {
	for i := range ch.Reactions {
		r := &ch.Reactions[i]
		var err error
		if r.On {
			_, err = w.exec(putReaction, int64(r.Room.Slot()), string(r.Room), int64(r.Seq), r.Emoji, string(r.User), r.Time)
		} else {
			_, err = w.exec(deleteReaction, int64(r.Room.Slot()), string(r.Room), int64(r.Seq), r.Emoji, string(r.User))
		}
		if err != nil {
			return err
		}
	}
	for _, m := range ch.Unreact {
		if _, err := w.exec(unreact, int64(m.Room.Slot()), string(m.Room), int64(m.Seq)); err != nil {
			return err
		}
	}
	return nil
}

func putUserRooms(w *writer, ch *store.Changes) error {
	for i := range ch.UserRooms {
		u := &ch.UserRooms[i]
		if _, err := w.exec(putUserRoom, int64(u.User.Slot()), string(u.User), string(u.Room), int64(u.Role), int64(u.Rev),
			int64(u.Read)); err != nil {
			return err
		}
	}
	return nil
}

func putOnline(w *writer, ch *store.Changes) error {
	for i := range ch.Online {
		c := &ch.Online[i]
		var err error
		switch {
		case c.On:
			_, err = w.exec(setOnline, int64(c.Room.Slot()), string(c.Room), string(c.User), c.Node)
		case c.Room == "":
			_, err = w.exec(deleteNode, c.Node)
		default:
			_, err = w.exec(deleteOnline, int64(c.Room.Slot()), string(c.Room), string(c.User), c.Node)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
