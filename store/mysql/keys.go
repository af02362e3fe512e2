package mysql

import (
	"strconv"
	"strings"

	"github.com/roomtide/roomtide/store/sqldb"
)

// Rows with many keys are found by a join with a table of the keys, which looks each up
// in the index. What conditions with OR between them cost the server's optimizer grows
// faster than their number: with 128 keys it was ten times as much.

// keyTable is a table k of n keys, with the columns k0, k1… and placeholders for values.
func keyTable(key []sqldb.Column, n int) string {
	first := make([]string, len(key))
	for i := range key {
		first[i] = "? k" + strconv.Itoa(i)
	}
	next := " UNION ALL SELECT ?" + strings.Repeat(", ?", len(key)-1)
	return "(SELECT " + strings.Join(first, ", ") + strings.Repeat(next, n-1) + ") k"
}

// isKey is the condition that a row has the key of the row of k. table is the name of
// its table with a dot, if it needs one.
func isKey(table string, key []sqldb.Column) string {
	conditions := make([]string, len(key))
	for i := range key {
		conditions[i] = table + key[i].Name + " = k.k" + strconv.Itoa(i)
	}
	return strings.Join(conditions, " AND ")
}

// keyValues are values for a table of keys: texts as bytes, since such a table has no
// column of which they could take over how they are compared.
func keyValues(args, key []any) []any {
	for _, v := range key {
		if text, ok := v.(string); ok {
			v = []byte(text)
		}
		args = append(args, v)
	}
	return args
}

// pick is sqldb.Dialect.Pick.
func pick(columns, from string, key []sqldb.Column, keys [][]any) (string, []any) {
	args := make([]any, 0, len(keys)*len(key))
	for _, k := range keys {
		args = keyValues(args, k)
	}
	return "SELECT STRAIGHT_JOIN " + columns + " FROM " + keyTable(key, len(keys)) + " JOIN " + from + " WHERE " + isKey("", key), args
}
