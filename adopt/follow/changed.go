package follow

import (
	"context"
	"database/sql"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
)

// The usual names of columns that get a higher value whenever a row is written, and of
// those that get it when the row is made: these find new rows where keys have no order.
var (
	changedNames = []string{"updated_at", "updated", "modified_at", "modified", "last_update", "last_modified", "changed_at", "changed"}
	createdNames = []string{"created_at", "created", "date_sent", "sent_at", "time", "timestamp", "date_created"}
)

// changedColumn is the column by which changed rows of a table are found, nil if there
// is none. One that is named has to be there, and to be the beginning of an index.
func changedColumn(t *described, named string, key column) (*column, error) {
	if named != "" {
		c, ok := t.column(named)
		switch {
		case !ok:
			return nil, invalid("poll", t.name, "the table "+t.name+" has no column "+named)
		case !c.indexed:
			return nil, invalid("poll", t.name, "no index begins with the column "+named+" of "+t.name+": asking for its highest values would read the whole table each time")
		}
		return &c, nil
	}
	names := changedNames
	if !key.integer {
		names = slices.Concat(changedNames, createdNames)
	}
	for _, name := range names {
		if c, ok := t.column(name); ok && c.indexed && !c.primary {
			return &c, nil
		}
	}
	return nil, nil
}

// overlap is for how long rows are asked for again by a column of their time. That is
// set before the commit: a transaction of that length may add rows below those seen.
const overlap = time.Minute

// changeScan finds changed rows by a column whose values grow. It asks again for what was
// changed since a value that was the highest a while ago. A Poll owns it.
type changeScan struct {
	db      *sql.DB
	table   *described
	key     column
	changed column

	since   string // rows from this value on are asked for, "" for all
	marks   []valueMark
	at      cursor
	behind  bool
	yielded map[source.Key]string // rows since that value: their values, as they were returned
}

// valueMark is the highest value at a time.
type valueMark struct {
	at    time.Time
	value string
}

// cursor is where the next page begins: behind a row, or at since if it has no key.
type cursor struct {
	value string
	key   source.Key
}

func newChangeScan(db *sql.DB, t *described, key, changed column, since string) *changeScan {
	return &changeScan{db: db, table: t, key: key, changed: changed, since: since, yielded: map[source.Key]string{}}
}

// beginChangeScan is the position of now: a value some rows below the highest one.
func beginChangeScan(ctx context.Context, db *sql.DB, t *described, c column) (string, error) {
	name := t.engine.QuotePath(c.name)
	text := fmt.Sprintf("SELECT %s FROM %s WHERE %s IS NOT NULL ORDER BY %s DESC LIMIT 1 OFFSET %d",
		valueText(t.engine, c), t.table(), name, name, lookBack)
	var value string
	err := db.QueryRowContext(ctx, text).Scan(&value)
	if err == sql.ErrNoRows {
		err = nil
	}
	return value, fail("begin", t.name, err)
}

// valueText writes the column so that its value is read as text, and can be sent back.
func valueText(e source.Engine, c column) string {
	if e == source.MySQL {
		return "CAST(" + e.QuotePath(c.name) + " AS CHAR)"
	}
	return "CAST(" + e.QuotePath(c.name) + " AS text)"
}

func (s *changeScan) position() string { return s.since }

// scan reads the next page of rows that were changed since the value.
func (s *changeScan) scan(ctx context.Context) (keys []source.Key, err error) {
	text, args := s.question()
	rows, err := s.db.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, fail("poll", s.table.name, err)
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var key, value string
		if err := rows.Scan(&key, &value); err != nil {
			return keys, fail("poll", s.table.name, err)
		}
		s.at = cursor{value, source.Key(key)}
		if before, ok := s.yielded[s.at.key]; !ok || before != value {
			s.yielded[s.at.key] = value
			keys = append(keys, s.at.key)
		}
	}
	if err := rows.Err(); err != nil {
		return keys, fail("poll", s.table.name, err)
	}
	if s.behind = n == pageRows; !s.behind {
		s.finish(time.Now())
	}
	return keys, nil
}

func (s *changeScan) question() (text string, args []any) {
	e := s.table.engine
	key, changed := e.QuotePath(s.key.name), e.QuotePath(s.changed.name)
	where, place := changed+" IS NOT NULL", "?"
	if e == source.Postgres {
		place = s.changed.place(e)
	}
	switch {
	case s.at.key != "":
		where = fmt.Sprintf("(%s > %s OR %s = %s AND %s > %s)", changed, place, changed, place, key, s.key.place(e))
		args = []any{s.at.value, s.at.value, s.key.argument(e, s.at.key)}
	case s.since != "":
		where, args = changed+" >= "+place, []any{s.since}
	}
	return e.Bind(fmt.Sprintf("SELECT %s, %s FROM %s WHERE %s ORDER BY %s, %s LIMIT %d", s.key.asText(e, key),
		valueText(e, s.changed), s.table.table(), where, changed, key, pageRows)), args
}

// finish ends a pass over what was changed, and lets what is old fall out of the next.
func (s *changeScan) finish(now time.Time) {
	if s.at.key != "" {
		s.marks = append(s.marks, valueMark{now, s.at.value})
	}
	s.at = cursor{}
	for len(s.marks) > 0 && now.Sub(s.marks[0].at) > overlap {
		s.since = s.marks[0].value
		s.marks = s.marks[1:]
	}
	if len(s.yielded) > mostGaps {
		clear(s.yielded) // they are returned once more, which changes nothing
	}
}

// newest finds changes and deletions among the newest rows, where they are most often.
// A Poll owns it.
type newest struct {
	db    *sql.DB
	table *described
	key   column
	rows  map[source.Key]uint64 // a sum of each row, nil before the first look
	top   int64                 // the highest key of them
}

const newestRows = 200

func (n *newest) scan(ctx context.Context) (keys []source.Key, err error) {
	name := n.table.engine.QuotePath(n.key.name)
	now := map[source.Key]uint64{}
	var top, low int64
	err = eachSum(ctx, n.db, n.table, n.key, fmt.Sprintf("ORDER BY %s DESC LIMIT %d", name, newestRows), nil, func(k source.Key, sum uint64) {
		id := number(k)
		if len(now) == 0 {
			top = id
		}
		low = id
		now[k] = sum
		if before, ok := n.rows[k]; (ok && before != sum) || (!ok && id < n.top) || n.rows == nil {
			keys = append(keys, k)
		}
	})
	if err != nil {
		return nil, err
	}
	for k := range n.rows {
		if _, ok := now[k]; !ok && (number(k) >= low || len(now) == 0) {
			keys = append(keys, k)
		}
	}
	n.rows, n.top = now, top
	return keys, nil
}

var seed = maphash.MakeSeed()

// eachSum calls f with the key and a sum over all columns of each row. The sums mean
// something in this process alone.
func eachSum(ctx context.Context, db *sql.DB, t *described, key column, rest string, args []any, f func(source.Key, uint64)) error {
	e := t.engine
	text := fmt.Sprintf("SELECT %s, %s FROM %s r %s", key.asText(e, "r."+e.QuotePath(key.name)), sumOf(t), t.table(), rest)
	rows, err := db.QueryContext(ctx, e.Bind(text), args...)
	if err != nil {
		return fail("sum", t.name, err)
	}
	defer rows.Close()
	for rows.Next() {
		var k string
		var sum sql.RawBytes
		if err := rows.Scan(&k, &sum); err != nil {
			return fail("sum", t.name, err)
		}
		f(source.Key(k), maphash.Bytes(seed, sum))
	}
	return fail("sum", t.name, rows.Err())
}

// sumOf is an expression that differs whenever a column does. CRC32 would not do: sums
// of two rows that change in the same way cancel each other. MySQL 9.7 has no MD5.
func sumOf(t *described) string {
	if t.engine == source.Postgres {
		return "md5(CAST(r AS text))"
	}
	parts := make([]string, len(t.columns))
	for i, c := range t.columns {
		name := "r." + t.engine.QuotePath(c.name)
		if parts[i] = "quote(" + name + ")"; t.engine == source.MySQL {
			parts[i] = "COALESCE(SHA2(CAST(" + name + " AS BINARY), 256), '-')"
		}
	}
	if t.engine == source.MySQL {
		return "SHA2(CONCAT_WS(',', " + strings.Join(parts, ", ") + "), 256)"
	}
	return strings.Join(parts, " || ',' || ")
}
