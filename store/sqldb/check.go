package sqldb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Rule is a rule that rows keep with each other, as a statement that finds what breaks
// it: the room, and the figures of the text.
type Rule struct{ Text, Query string }

var rules = []Rule{
	// Messages are numbered 1..last_seq without a hole; a primary key has no doubles,
	// so that three figures say it.
	{"%d messages numbered %d to %d, but last_seq is %d", `SELECT r.room_id, m.n, m.low, m.high, r.last_seq
	FROM {rooms} r JOIN (SELECT slot, room_id, count(*) n, min(seq) low, max(seq) high FROM {messages} GROUP BY slot, room_id) m
		ON m.slot = r.slot AND m.room_id = r.room_id
	WHERE r.deleted = 0 AND (m.n <> r.last_seq OR m.low <> 1 OR m.high <> r.last_seq)`},

	{"no messages, but last_seq is %d", `SELECT r.room_id, r.last_seq FROM {rooms} r
	WHERE r.last_seq <> 0 AND NOT EXISTS (SELECT 1 FROM {messages} m WHERE m.slot = r.slot AND m.room_id = r.room_id)`},

	// By the primary key: a window over all messages would be sorted first.
	{"message %d was created at rev %d, the one before it at %d", `SELECT m.room_id, m.seq, m.created_rev, b.created_rev
	FROM {messages} m JOIN {messages} b ON b.slot = m.slot AND b.room_id = m.room_id AND b.seq = m.seq - 1
	WHERE m.created_rev <= b.created_rev`},

	{"a message has rev %d, the room %d", `SELECT r.room_id, m.high, r.rev
	FROM {rooms} r JOIN (SELECT slot, room_id, max(greatest(created_rev, coalesce(changed_rev, 0))) high
		FROM {messages} GROUP BY slot, room_id) m ON m.slot = r.slot AND m.room_id = r.room_id
	WHERE m.high > r.rev`},

	{"the title or policy has rev %d, the room %d", "SELECT room_id, info_rev, rev FROM {rooms} WHERE info_rev > rev"},

	{"a member has rev %d, the room %d", `SELECT r.room_id, m.high, r.rev
	FROM {rooms} r JOIN (SELECT slot, room_id, max(rev) high FROM {members} GROUP BY slot, room_id) m
		ON m.slot = r.slot AND m.room_id = r.room_id
	WHERE m.high > r.rev`},

	{"%d members present, but the room says %d", `SELECT x.room_id, x.present, x.members
	FROM (SELECT r.room_id, r.members, (SELECT count(*) FROM {members} m
		WHERE m.slot = r.slot AND m.room_id = r.room_id AND m.role IN (1, 2, 3, 5)) present FROM {rooms} r WHERE r.deleted = 0) x
	WHERE x.present <> x.members`},

	{"its history begins behind rev %d, but its rev is %d", "SELECT room_id, floor, rev FROM {rooms} WHERE floor > rev"},

	{"message %d has %d reactions of a kind, counted are %d", `SELECT x.room_id, x.seq, sum(x.n), sum(x.counted)
	FROM (SELECT slot, room_id, seq, emoji, count(*) n, 0 counted FROM {reactions} GROUP BY slot, room_id, seq, emoji
		UNION ALL SELECT slot, room_id, seq, emoji, 0, n FROM {reaction_counts}) x
	GROUP BY x.slot, x.room_id, x.seq, x.emoji HAVING sum(x.n) <> sum(x.counted)`},

	{"%d messages without a room", `SELECT m.room_id, m.n FROM (SELECT slot, room_id, count(*) n FROM {messages} GROUP BY slot, room_id) m
	WHERE NOT EXISTS (SELECT 1 FROM {rooms} r WHERE r.slot = m.slot AND r.room_id = m.room_id)`},

	{"%d members without a room", `SELECT m.room_id, m.n FROM (SELECT slot, room_id, count(*) n FROM {members} GROUP BY slot, room_id) m
	WHERE NOT EXISTS (SELECT 1 FROM {rooms} r WHERE r.slot = m.slot AND r.room_id = m.room_id)`},
}

// Check reads the whole database in one snapshot: it is for an operator's question, not
// for every start. The engine looks at the structure.
func (r *Reader) Check(ctx context.Context, owns func(chat.Slot) bool) (found []string, err error) {
	err = r.db.Snapshot(ctx, func(db Asker) error {
		c := checker{owns: owns}
		err := db.Ask(ctx, Question{Text: "SELECT slot, room_id FROM {rooms}", Row: func(s Scanner) error {
			var slot int64
			var room chat.RoomID
			err := s.Scan(&slot, (*string)(&room))
			if err == nil && slot != int64(room.Slot()) {
				c.found.Add(fmt.Sprintf("room %q: filed under slot %d instead of %d", room, slot, room.Slot()))
			}
			return err
		}})
		all := slices.Concat(rules, r.d.Rules)
		for i := 0; i < len(all) && err == nil; i++ {
			err = db.Ask(ctx, c.question(&all[i]))
		}
		found = c.found
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

type checker struct {
	owns  func(chat.Slot) bool // nil: all
	found store.Findings
}

func (c *checker) question(rule *Rule) Question {
	figures := make([]int64, strings.Count(rule.Text, "%d"))
	return Question{Text: rule.Query, Row: func(s Scanner) error {
		var room string
		dest, args := []any{&room}, make([]any, len(figures))
		for i := range figures {
			dest = append(dest, &figures[i])
		}
		if err := s.Scan(dest...); err != nil {
			return err
		}
		if c.owns != nil && !c.owns(chat.RoomID(room).Slot()) {
			return nil
		}
		for i := range figures {
			args[i] = figures[i]
		}
		c.found.Add(fmt.Sprintf("room %q: ", room) + fmt.Sprintf(rule.Text, args...))
		return nil
	}}
}
