package follow

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"github.com/roomtide/roomtide/adopt/source"
)

// existing marks the keys that the table holds.
func existing(ctx context.Context, db *sql.DB, t *described, key column, keys []source.Key, there map[source.Key]bool) error {
	e := t.engine
	places, args := make([]string, len(keys)), make([]any, len(keys))
	for i, k := range keys {
		places[i], args[i] = key.place(e), key.argument(e, k)
	}
	name := e.QuotePath(key.name)
	text := fmt.Sprintf("SELECT %s FROM %s WHERE %s IN (%s)", key.asText(e, name), t.table(), name, strings.Join(places, ", "))
	rows, err := db.QueryContext(ctx, e.Bind(text), args...)
	if err != nil {
		return fail("rows", t.name, err)
	}
	defer rows.Close()
	for rows.Next() {
		var k string
		if err := rows.Scan(&k); err != nil {
			return fail("rows", t.name, err)
		}
		there[source.Key(k)] = true
	}
	return fail("rows", t.name, rows.Err())
}

// number is the value of an integer key.
func number(k source.Key) int64 {
	n, _ := strconv.ParseInt(string(k), 10, 64) // the database says that it is one
	return n
}

// querier is a pool or a connection.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// pairs returns what a question with two columns answers: the second by the first.
func pairs(ctx context.Context, db querier, op, question string) (map[string]string, error) {
	rows, err := db.QueryContext(ctx, question)
	if err != nil {
		return nil, fail(op, "", err)
	}
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, fail(op, "", err)
		}
		all[name] = value
	}
	return all, fail(op, "", rows.Err())
}

// firstColumn returns the first column of all rows.
func firstColumn(ctx context.Context, db querier, question string) (values []string, err error) {
	rows, err := db.QueryContext(ctx, question)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, rows.Err()
}
