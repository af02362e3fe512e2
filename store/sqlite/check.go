package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// The rules that rows keep with each other, as queries that find what breaks
// them, by slot, room and what is wrong.
var rules = []string{
	// Messages are numbered 1..last_seq without a hole; a primary key has no
	// doubles, so that three figures say it.
	`SELECT r.slot, r.room_id, format('%d messages numbered %d to %d, but last_seq is %d', m.n, m.low, m.high, r.last_seq)
	FROM rooms r JOIN (SELECT slot, room_id, count(*) n, min(seq) low, max(seq) high FROM messages GROUP BY slot, room_id) m
		USING (slot, room_id)
	WHERE r.deleted = 0 AND (m.n <> r.last_seq OR m.low <> 1 OR m.high <> r.last_seq)`,

	`SELECT slot, room_id, format('no messages, but last_seq is %d', last_seq) FROM rooms r
	WHERE last_seq <> 0 AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.slot = r.slot AND m.room_id = r.room_id)`,

	`SELECT slot, room_id, format('message %d was created at rev %d, the one before it at %d', seq, created_rev, before)
	FROM (SELECT slot, room_id, seq, created_rev,
		lag(created_rev) OVER (PARTITION BY slot, room_id ORDER BY seq) before FROM messages)
	WHERE created_rev <= before`,

	`SELECT r.slot, r.room_id, format('a message has rev %d, the room %d', m.rev, r.rev)
	FROM rooms r JOIN (SELECT slot, room_id, max(max(created_rev, coalesce(changed_rev, 0))) rev
		FROM messages GROUP BY slot, room_id) m USING (slot, room_id)
	WHERE m.rev > r.rev`,

	`SELECT slot, room_id, format('the title or policy has rev %d, the room %d', info_rev, rev) FROM rooms WHERE info_rev > rev`,

	`SELECT r.slot, r.room_id, format('a member has rev %d, the room %d', m.rev, r.rev)
	FROM rooms r JOIN (SELECT slot, room_id, max(rev) rev FROM members GROUP BY slot, room_id) m USING (slot, room_id)
	WHERE m.rev > r.rev`,

	`SELECT slot, room_id, format('%d members present, but the room says %d', present, members)
	FROM (SELECT slot, room_id, members, deleted, (SELECT count(*) FROM members m
		WHERE m.slot = r.slot AND m.room_id = r.room_id AND role IN (1, 2, 3, 5)) present FROM rooms r)
	WHERE present <> members AND deleted = 0`,

	`SELECT slot, room_id, format('its history begins behind rev %d, but its rev is %d', floor, rev) FROM rooms WHERE floor > rev`,

	`SELECT slot, room_id, format('message %d has %d reactions of a kind, counted are %d', seq, sum(n), sum(counted))
	FROM (SELECT slot, room_id, seq, emoji, count(*) n, 0 counted FROM reactions GROUP BY slot, room_id, seq, emoji
		UNION ALL SELECT slot, room_id, seq, emoji, 0, count FROM reaction_counts)
	GROUP BY slot, room_id, seq, emoji HAVING sum(n) <> sum(counted)`,

	`SELECT slot, room_id, 'messages without a room' FROM messages GROUP BY slot, room_id
	HAVING NOT EXISTS (SELECT 1 FROM rooms r WHERE r.slot = messages.slot AND r.room_id = messages.room_id)`,

	`SELECT slot, room_id, 'members without a room' FROM members GROUP BY slot, room_id
	HAVING NOT EXISTS (SELECT 1 FROM rooms r WHERE r.slot = members.slot AND r.room_id = members.room_id)`,
}

// Check reads the whole file, in one read transaction: it is for an operator's
// question, not for every start. Damage that keeps rows from being read is a
// finding, not an error.
func (s *Shard) Check(ctx context.Context, owns func(chat.Slot) bool) ([]string, error) {
	c := checker{ctx: ctx, owns: owns}
	err := s.db.snapshot(ctx, "check", c.run)
	if code := resultCode(err) & 0xff; err != nil && (code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB) {
		c.found.Add("not everything can be read: " + err.Error())
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return c.found, nil
}

type checker struct {
	ctx   context.Context
	owns  func(chat.Slot) bool
	found store.Findings
}

func (c *checker) run(tx *sql.Tx) error {
	err := c.each(tx, fmt.Sprintf("PRAGMA integrity_check(%d)", store.MaxFindings), func(rows *sql.Rows) error {
		var line string
		err := rows.Scan(&line)
		if err == nil && line != "ok" {
			c.found.Add(line)
		}
		return err
	})
	if err != nil {
		return err
	}
	err = c.each(tx, "SELECT slot, room_id FROM rooms", func(rows *sql.Rows) error {
		var slot int
		var room chat.RoomID
		err := rows.Scan(&slot, (*string)(&room))
		if err == nil && slot != int(room.Slot()) {
			c.found.Add(fmt.Sprintf("room %q: filed under slot %d instead of %d", room, slot, room.Slot()))
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, rule := range rules {
		err := c.each(tx, rule, func(rows *sql.Rows) error {
			var slot int
			var room, what string
			err := rows.Scan(&slot, &room, &what)
			if err == nil && (c.owns == nil || c.owns(chat.RoomID(room).Slot())) {
				c.found.Add(fmt.Sprintf("room %q: %s", room, what))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) each(tx *sql.Tx, query string, fn func(*sql.Rows) error) error {
	rows, err := tx.QueryContext(c.ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
