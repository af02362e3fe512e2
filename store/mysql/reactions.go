package mysql

import (
	"strconv"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
)

// The counts of reactions are kept in step without triggers, which need a right that
// hosters seldom give: what a statement is about to add or to remove is counted before.
// Ids and emoji are sent as bytes here, because they are compared and grouped outside of
// a column.
const (
	// countAdded is followed by the rows as a table v, and countNew.
	countAdded = "INSERT INTO {reaction_counts} (slot, room_id, seq, emoji, n, first_ts, first_users) " +
		"SELECT v.slot, v.room_id, v.seq, v.emoji, count(*), 0, '' FROM ("
	countNew = ") v LEFT JOIN {reactions} r ON r.slot = v.slot AND r.room_id = v.room_id AND r.seq = v.seq AND r.emoji = v.emoji AND r.user_id = v.user_id " +
		"WHERE r.slot IS NULL GROUP BY v.slot, v.room_id, v.seq, v.emoji ON DUPLICATE KEY UPDATE n = {reaction_counts}.n + VALUES(n)"

	// countRemoved is followed by the rows as a table t, and countLess.
	countRemoved = "UPDATE {reaction_counts} c JOIN (SELECT t.slot, t.room_id, t.seq, t.emoji, count(*) gone FROM "
	countLess    = " GROUP BY t.slot, t.room_id, t.seq, t.emoji) d ON d.slot = c.slot AND d.room_id = c.room_id AND d.seq = c.seq AND d.emoji = c.emoji SET c.n = c.n - d.gone"

	ofEmoji = " FROM {reactions} WHERE slot = ? AND room_id = ? AND seq = ? AND emoji = ? ORDER BY ts, user_id LIMIT "
)

// setFirst sets the first users of an emoji, and when the first chose it.
var setFirst = "UPDATE {reaction_counts} SET first_ts = coalesce((SELECT ts" + ofEmoji + "1), 0), " +
	"first_users = (SELECT coalesce(GROUP_CONCAT(x.user_id ORDER BY x.ts, x.user_id SEPARATOR '\n'), '') FROM (SELECT user_id, ts" + ofEmoji +
	strconv.Itoa(chat.ReactionUsers) + ") x) WHERE slot = ? AND room_id = ? AND seq = ? AND emoji = ?"

// counts is the table of counts, with its key.
var counts = sqldb.Table{Name: "reaction_counts", Columns: sqldb.Reactions.Columns[:4], Key: 4}

// emojiKey is the key of a row of {reaction_counts}.
type emojiKey struct {
	room  chat.RoomID
	seq   chat.Seq
	emoji string
}

func (k *emojiKey) values(args []any) []any {
	return append(args, int64(k.room.Slot()), []byte(k.room), int64(k.seq), []byte(k.emoji))
}

func reactionValues(args []any, k *store.ReactionKey) []any {
	return append(args, int64(k.Room.Slot()), []byte(k.Room), int64(k.Seq), []byte(k.Emoji), []byte(k.User))
}

// react adds and removes reactions.
func (c *commit) react(changes []store.ReactionChange) {
	var on []store.ReactionChange
	var off []store.ReactionKey
	for _, r := range changes {
		if r.On {
			on = append(on, r)
		} else {
			off = append(off, r.ReactionKey)
		}
	}
	c.unreactKeys(off)
	c.addReactions(on)
}

func (c *commit) addReactions(on []store.ReactionChange) {
	for i := 0; i < len(on); i += keysAtOnce {
		some := on[i:min(len(on), i+keysAtOnce)]
		var args []any
		for i := range some {
			args = reactionValues(args, &some[i].ReactionKey)
		}
		c.add(countAdded+"SELECT ? AS slot, ? AS room_id, ? AS seq, ? AS emoji, ? AS user_id"+
			strings.Repeat(" UNION ALL SELECT ?, ?, ?, ?, ?", len(some)-1)+countNew, args...)
	}
	c.replace(&sqldb.Reactions, len(on), func(args []any, i int) []any { return sqldb.ReactionValues(args, &on[i]) })
	c.setFirst(len(on), func(i int) *store.ReactionKey { return &on[i].ReactionKey })
}

// unreactKeys removes reactions, of which some may not be there.
func (c *commit) unreactKeys(off []store.ReactionKey) {
	if len(off) == 0 {
		return
	}
	values := func(args []any, i int) []any { return reactionValues(args, &off[i]) }
	c.byKeys(countRemoved, &sqldb.Reactions, sqldb.Reactions.Columns[:sqldb.Reactions.Key], len(off), values, countLess)
	c.delete(&sqldb.Reactions, len(off), values)
	keys := distinct(len(off), func(i int) *store.ReactionKey { return &off[i] })
	c.byKeys("DELETE t FROM ", &counts, counts.Columns, len(keys),
		func(args []any, i int) []any { return keys[i].values(args) }, " WHERE t.n <= 0")
	c.setFirst(len(off), func(i int) *store.ReactionKey { return &off[i] })
}

func (c *commit) setFirst(n int, key func(int) *store.ReactionKey) {
	for _, k := range distinct(n, key) {
		one := k.values(nil)
		c.add(setFirst, append(append(one, one...), one...)...)
	}
}

// distinct are the emoji under messages among the keys of reactions.
func distinct(n int, key func(int) *store.ReactionKey) (out []emojiKey) {
	seen := make(map[emojiKey]bool, n)
	for i := range n {
		k := key(i)
		e := emojiKey{k.Room, k.Seq, k.Emoji}
		if !seen[e] {
			seen[e] = true
			out = append(out, e)
		}
	}
	return out
}

// unreact removes all reactions of messages.
func (c *commit) unreact(refs []store.MessageRef) {
	values := func(args []any, i int) []any {
		return append(args, int64(refs[i].Room.Slot()), string(refs[i].Room), int64(refs[i].Seq))
	}
	key := sqldb.Messages.Columns[:sqldb.Messages.Key]
	c.byKeys("DELETE t FROM ", &sqldb.Reactions, key, len(refs), values, "")
	c.byKeys("DELETE t FROM ", &counts, key, len(refs), values, "")
}

// rules hold the first users beside a count to the reactions: the first of them, when
// that one chose, and how many they are. Which the others are cannot be asked without
// reading all reactions.
var rules = []sqldb.Rule{
	{Text: "message %d has an emoji with the time %d of its first use, which was %d", Query: `SELECT room_id, seq, first_ts, ts FROM (
		SELECT c.room_id, c.seq, c.first_ts, (SELECT min(r.ts) FROM {reactions} r
			WHERE r.slot = c.slot AND r.room_id = c.room_id AND r.seq = c.seq AND r.emoji = c.emoji) ts FROM {reaction_counts} c) x
		WHERE first_ts <> ts`},
	{Text: "message %d has an emoji of which another user was the first", Query: `SELECT room_id, seq FROM (
		SELECT c.room_id, c.seq, c.first_users, (SELECT r.user_id FROM {reactions} r
			WHERE r.slot = c.slot AND r.room_id = c.room_id AND r.seq = c.seq AND r.emoji = c.emoji ORDER BY r.ts, r.user_id LIMIT 1) user_id
			FROM {reaction_counts} c) x
		WHERE SUBSTRING_INDEX(first_users, '\n', 1) <> user_id`},
	{Text: "message %d has an emoji that %d users chose, with %d names", Query: `SELECT room_id, seq, n, names FROM (
		SELECT room_id, seq, n, LENGTH(first_users) - LENGTH(REPLACE(first_users, '\n', '')) + 1 names FROM {reaction_counts}) x
		WHERE names <> LEAST(n, ` + strconv.Itoa(chat.ReactionUsers) + ")"},
}
