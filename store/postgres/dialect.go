package postgres

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store/sqldb"
)

// newDialect is how statements are written for tables with the prefix.
func newDialect(prefix string) *sqldb.Dialect {
	return &sqldb.Dialect{Prefix: prefix, Numbered: true, RowValues: true, Lateral: true, Replace: replace, Pick: pick, Reacted: reacted,
		Integer: "BIGINT", Now: "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)", TableBytes: tableBytes}
}

const tableBytes = `SELECT CAST(coalesce(sum(pg_total_relation_size(c.oid)), 0) AS BIGINT) FROM pg_class c
	WHERE c.relnamespace = current_schema()::regnamespace AND c.relname IN (names)`

// reacted finds the first users that chose an emoji by the index reactions_order.
var reacted = `(SELECT r.ts FROM {reactions} r
		WHERE r.slot = c.slot AND r.room_id = c.room_id AND r.seq = c.seq AND r.emoji = c.emoji ORDER BY r.ts LIMIT 1),
	(SELECT string_agg(r.user_id, chr(10) ORDER BY r.ts, r.user_id) FROM (SELECT user_id, ts FROM {reactions} r
		WHERE r.slot = c.slot AND r.room_id = c.room_id AND r.seq = c.seq AND r.emoji = c.emoji
		ORDER BY ts, user_id LIMIT ` + strconv.Itoa(chat.ReactionUsers) + `) r)`

func replace(key, columns []string) string {
	sets := make([]string, len(columns))
	for i, c := range columns {
		sets[i] = c + " = excluded." + c
	}
	if len(sets) == 0 {
		return "ON CONFLICT DO NOTHING"
	}
	return "ON CONFLICT (" + strings.Join(key, ", ") + ") DO UPDATE SET " + strings.Join(sets, ", ")
}

// pick looks rows up by keys that are sent as arrays, one for each column, so that the
// statement is the same however many there are. OFFSET keeps the planner from turning
// the look-ups into a join for which it would read the whole table.
func pick(columns, from string, key []sqldb.Column, keys [][]any) (string, []any) {
	if len(keys) == 1 {
		return "SELECT " + columns + " FROM " + from + " WHERE " + sqldb.AnyOf(key, 1), keys[0]
	}
	conditions := make([]string, len(key))
	for i, c := range key {
		conditions[i] = fmt.Sprintf("%s = k.k%d", c.Name, i)
	}
	as := newArrays(key).grow(len(keys))
	for _, k := range keys {
		as.add(k)
	}
	return "SELECT x.* FROM " + as.unnest() + " AS k(" + aliases(len(key)) + ") CROSS JOIN LATERAL (SELECT " +
		columns + " FROM " + from + " WHERE " + strings.Join(conditions, " AND ") + " OFFSET 0) x", as.args()
}

func aliases(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = "k" + strconv.Itoa(i)
	}
	return strings.Join(names, ", ")
}

// arrays are rows as PostgreSQL gets them: an array for each column.
type arrays []array

// array is a column. Its values are in one of the slices.
type array struct {
	sqldb.Column
	ints  []int64
	texts []string
	bytes [][]byte // nil: NULL
	// Columns with NULL.
	intsOrNull  []*int64
	textsOrNull []*string
}

func newArrays(columns []sqldb.Column) arrays {
	as := make(arrays, len(columns))
	for i := range columns {
		as[i].Column = columns[i]
	}
	return as
}

// grow makes space for n rows.
func (as arrays) grow(n int) arrays {
	for i := range as {
		switch a := &as[i]; {
		case a.Kind == sqldb.Bytes:
			a.bytes = make([][]byte, 0, n)
		case a.Kind == sqldb.Int && a.Null:
			a.intsOrNull = make([]*int64, 0, n)
		case a.Kind == sqldb.Int:
			a.ints = make([]int64, 0, n)
		case a.Null:
			a.textsOrNull = make([]*string, 0, n)
		default:
			a.texts = make([]string, 0, n)
		}
	}
	return as
}

// add appends a row.
func (as arrays) add(row []any) {
	for i := range as {
		as[i].add(row[i])
	}
}

func (a *array) add(value any) {
	switch v := value.(type) {
	case int64:
		if a.Null {
			a.intsOrNull = append(a.intsOrNull, &v)
		} else {
			a.ints = append(a.ints, v)
		}
	case string:
		v = escape(v)
		if a.Null {
			a.textsOrNull = append(a.textsOrNull, &v)
		} else {
			a.texts = append(a.texts, v)
		}
	case []byte:
		a.bytes = append(a.bytes, v)
	case nil:
		switch a.Kind {
		case sqldb.Int:
			a.intsOrNull = append(a.intsOrNull, nil)
		case sqldb.Bytes:
			a.bytes = append(a.bytes, nil)
		default:
			a.textsOrNull = append(a.textsOrNull, nil)
		}
	default:
		panic(fmt.Sprintf("a value of type %T in column %s", value, a.Name))
	}
}

// args are the arguments of unnest.
func (as arrays) args() []any {
	out := make([]any, len(as))
	for i := range as {
		switch a := &as[i]; {
		case a.Kind == sqldb.Bytes:
			out[i] = a.bytes
		case a.Kind == sqldb.Int && a.Null:
			out[i] = a.intsOrNull
		case a.Kind == sqldb.Int:
			out[i] = a.ints
		case a.Null:
			out[i] = a.textsOrNull
		default:
			out[i] = a.texts
		}
	}
	return out
}

// unnest makes rows of as many arrays, as part of a statement.
func (as arrays) unnest() string {
	params := make([]string, len(as))
	for i := range as {
		params[i] = "?::" + map[sqldb.ColumnKind]string{sqldb.Int: "bigint", sqldb.Bytes: "bytea"}[as[i].Kind] + "[]"
		if as[i].Kind == sqldb.ID || as[i].Kind == sqldb.Text {
			params[i] = "?::text[]"
		}
	}
	return "unnest(" + strings.Join(params, ", ") + ")"
}
