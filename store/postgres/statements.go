package postgres

import (
	"strings"

	"github.com/roomtide/roomtide/store/sqldb"
)

// The statements that write, in the common form. Those that take rows take an array for
// each column. A statement that does not find what it must find divides by zero: there
// is no other way to end a transaction from inside a batch.
const (
	acquireLane = `INSERT INTO {lanes} AS l (lane, epoch, position) VALUES (?, 1, 0)
		ON CONFLICT (lane) DO UPDATE SET epoch = l.epoch + 1 RETURNING epoch, position`

	// The fence. It is the first statement of a commit.
	advanceLane = `WITH l AS (UPDATE {lanes} SET position = position + 1 WHERE lane = ? AND epoch = ? AND position = ? RETURNING 1)
		SELECT 1 / count(*) FROM l`

	insertOutbox   = "INSERT INTO {outbox} (lane, position, body) VALUES (?, ?, ?)"
	trimOutbox     = "DELETE FROM {outbox} WHERE lane = ? AND position <= (SELECT min(position) FROM {cursors} WHERE lane = ?)"
	deleteNode     = "DELETE FROM {online} WHERE node = ?"
	deleteMessages = "DELETE FROM {messages} WHERE slot = ? AND room_id = ? AND seq BETWEEN ? AND ?"
)

var (
	insertMessages = insert(&sqldb.Messages)
	setOnline      = insert(&sqldb.Online) + " ON CONFLICT DO NOTHING"

	// Its last argument is how many rows there are.
	updateMessages = "WITH u AS (UPDATE {messages} m SET changed_rev = k.changed_rev, body = k.body, data = k.data, " +
		"edited = k.edited, deleted = k.deleted, mentions = k.mentions FROM " + rowsAs("k", changed.Columns) +
		" WHERE " + same("m", "k", messageKey) + " RETURNING 1) SELECT 1 / (CASE WHEN count(*) = ? THEN 1 ELSE 0 END) FROM u"

	// Messages whose keys others are about to get.
	deleteByKey = "DELETE FROM {messages} m USING " + rowsAs("k", keyed) +
		" WHERE " + same("m", "k", []sqldb.Column{keyed[0], keyed[1], keyed[3], keyed[4]}) + " AND m.seq <> k.seq"

	// A reaction that is there already counts once, and gets the new time.
	addReactions = "WITH i AS (" + insert(&sqldb.Reactions) + " ON CONFLICT DO NOTHING RETURNING slot, room_id, seq, emoji) " +
		"INSERT INTO {reaction_counts} AS c (slot, room_id, seq, emoji, n) " +
		"SELECT slot, room_id, seq, emoji, count(*) FROM i GROUP BY slot, room_id, seq, emoji " +
		"ON CONFLICT (slot, room_id, seq, emoji) DO UPDATE SET n = c.n + excluded.n"
	timeReactions = "UPDATE {reactions} r SET ts = k.ts FROM " + rowsAs("k", sqldb.Reactions.Columns) +
		" WHERE " + same("r", "k", key(&sqldb.Reactions)) + " AND r.ts <> k.ts"

	deleteReactions = deleteCounted(key(&sqldb.Reactions))
	unreact         = deleteCounted(messageKey)
)

// changed are the columns of a message that Changes.Update replaces, behind its key.
var changed = sqldb.Table{Name: "messages", Key: 3, Columns: append(messageKey[:3:3],
	sqldb.Column{Name: "changed_rev"}, sqldb.Column{Name: "body", Kind: sqldb.Text}, sqldb.Column{Name: "data", Kind: sqldb.Bytes, Null: true},
	sqldb.Column{Name: "edited"}, sqldb.Column{Name: "deleted"}, sqldb.Column{Name: "mentions", Kind: sqldb.Text, Null: true})}

// keyed are the columns of a message's key, and of the key that its sender gave it.
var keyed = append(messageKey[:3:3], sqldb.Column{Name: "user_id", Kind: sqldb.ID}, sqldb.Column{Name: "send_key", Kind: sqldb.ID})

var (
	messageKey = key(&sqldb.Messages)
	emojiKey   = sqldb.Reactions.Columns[:4]
)

func key(t *sqldb.Table) []sqldb.Column { return t.Columns[:t.Key] }

// insert is the statement that inserts rows.
func insert(t *sqldb.Table) string {
	return "INSERT INTO {" + t.Name + "} (" + columnNames(t.Columns) + ") SELECT * FROM " + newArrays(t.Columns).unnest()
}

// put is the statement that inserts or replaces rows.
func put(t *sqldb.Table) string {
	cols := strings.Split(columnNames(t.Columns), ", ")
	return insert(t) + " " + replace(cols[:t.Key], cols[t.Key:])
}

// remove is the statement that deletes rows by their keys.
func remove(t *sqldb.Table) string {
	return "DELETE FROM {" + t.Name + "} t USING " + rowsAs("k", key(t)) + " WHERE " + same("t", "k", key(t))
}

// deleteCounted is the statement that deletes reactions by some columns of their key,
// and takes them from the counts.
func deleteCounted(by []sqldb.Column) string {
	return "WITH d AS (DELETE FROM {reactions} r USING " + rowsAs("k", by) + " WHERE " + same("r", "k", by) +
		" RETURNING r.slot, r.room_id, r.seq, r.emoji), " +
		"a AS (SELECT slot, room_id, seq, emoji, count(*) n FROM d GROUP BY slot, room_id, seq, emoji), " +
		"u AS (UPDATE {reaction_counts} c SET n = c.n - a.n FROM a WHERE " + same("c", "a", emojiKey) + " AND c.n > a.n) " +
		"DELETE FROM {reaction_counts} c USING a WHERE " + same("c", "a", emojiKey) + " AND c.n <= a.n"
}

// rowsAs are the rows that arrays make, under a name.
func rowsAs(name string, columns []sqldb.Column) string {
	return newArrays(columns).unnest() + " AS " + name + "(" + columnNames(columns) + ")"
}

// same is the condition that two rows have the same values in columns.
func same(a, b string, columns []sqldb.Column) string {
	conditions := make([]string, len(columns))
	for i, c := range columns {
		conditions[i] = a + "." + c.Name + " = " + b + "." + c.Name
	}
	return strings.Join(conditions, " AND ")
}

func columnNames(columns []sqldb.Column) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}
