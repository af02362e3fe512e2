package follow

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// Queue follows the table of changes. Rows are read, applied and deleted, and never
// skipped by their number: a transaction that commits late has lower ones. What is in
// the table is the position.
type Queue struct {
	// Set once.
	c        *session
	caughtUp atomic.Int64 // when the last read began that left nothing; unix nanoseconds

	// Owned by the caller of Next.
	taken []taken // returned by the call before: to be deleted with this one
	read  time.Time
	full  bool // the last read was a whole page
}

// queueRows is how many rows are taken at once.
const queueRows = 500

// taken is a row of the table of changes.
type taken struct {
	n   int64 // its number, or its transaction
	key sql.NullString
}

// checkQueue reports whether all triggers are there and the table of changes can be read.
func checkQueue(ctx context.Context, c *session) error {
	all, err := triggersOf(ctx, c)
	if err != nil {
		return err
	}
	conn, err := c.db.Conn(ctx)
	if err != nil {
		return fail("triggers", "", err)
	}
	defer conn.Close()
	there, err := pairs(ctx, conn, "triggers", present[c.engine])
	if err != nil {
		return err
	}
	for _, m := range madeFor(c.engine, all) {
		if _, ok := there[m.trigger]; !ok && m.trigger != "" {
			return &chat.Error{Kind: chat.NotFound, Op: "follow.triggers", Subject: c.Tables[0].Name,
				Text: "the trigger " + m.trigger + " is missing, or cannot be seen without the right TRIGGER: \"roomtide adopt triggers install\" makes it"}
		}
	}
	_, err = conn.ExecContext(ctx, "DELETE FROM "+changeTable+" WHERE 1 = 0")
	return fail("triggers", changeTable, err)
}

func openQueue(ctx context.Context, c *session) (*Queue, error) {
	if err := checkQueue(ctx, c); err != nil {
		return nil, err
	}
	q := &Queue{c: c}
	q.caughtUp.Store(time.Now().UnixNano())
	return q, nil
}

func (q *Queue) Next(ctx context.Context) ([]source.Key, string, error) {
	if err := q.delete(ctx); err != nil {
		return nil, "", err
	}
	for {
		pause := q.c.Interval - time.Since(q.read)
		if q.full {
			pause = 0
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, "", fail("queue", changeTable, err)
		}
		began := time.Now()
		q.read = began
		page, err := q.page(ctx)
		if err != nil {
			return nil, "", err
		}
		if q.full = len(page) == queueRows; !q.full {
			q.caughtUp.Store(began.UnixNano())
		}
		if len(page) > 0 {
			q.taken = page
			return q.keys(page), "", nil
		}
	}
}

// keys are those of a page, each once.
func (q *Queue) keys(page []taken) (keys []source.Key) {
	seen := map[string]bool{}
	for _, row := range page {
		k := row.key.String
		switch {
		case !row.key.Valid || seen[k]:
		case k == "":
			q.c.missed("a table was emptied with TRUNCATE")
		default:
			keys = append(keys, source.Key(k))
		}
		seen[k] = true
	}
	return keys
}

func (q *Queue) page(ctx context.Context) ([]taken, error) {
	columns := map[source.Engine]string{source.MySQL: "n, k", source.Postgres: "x, k"}[q.c.engine]
	rows, err := q.c.db.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s ORDER BY 1 LIMIT %d", columns, changeTable, queueRows))
	if err != nil {
		return nil, fail("queue", changeTable, err)
	}
	defer rows.Close()
	var page []taken
	for rows.Next() {
		var row taken
		if err := rows.Scan(&row.n, &row.key); err != nil {
			return nil, fail("queue", changeTable, err)
		}
		page = append(page, row)
	}
	return page, fail("queue", changeTable, rows.Err())
}

// delete removes what the call before has returned: it was applied. Writers must not wait
// for that, nor it for rows of transactions that are open: in MySQL each row is named by
// itself, as the server may read a small table whole, and lock it, for a list.
func (q *Queue) delete(ctx context.Context) error {
	if len(q.taken) == 0 {
		return nil
	}
	tx, err := q.c.db.BeginTx(ctx, nil)
	if err != nil {
		return fail("queue", changeTable, err)
	}
	if err := q.deleteIn(ctx, tx); err != nil {
		return fail("queue", changeTable, errors.Join(err, tx.Rollback()))
	}
	if err := tx.Commit(); err != nil {
		return fail("queue", changeTable, err)
	}
	q.taken = nil
	return nil
}

func (q *Queue) deleteIn(ctx context.Context, tx *sql.Tx) error {
	if q.c.engine == source.MySQL {
		for _, row := range q.taken {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+changeTable+" WHERE n = ?", row.n); err != nil {
				return err
			}
		}
		return nil
	}
	places, args := make([]string, len(q.taken)), make([]any, len(q.taken))
	for i, row := range q.taken {
		places[i], args[i] = "("+strconv.FormatInt(row.n, 10)+", ?)", row.key.String
	}
	_, err := tx.ExecContext(ctx, q.c.engine.Bind("DELETE FROM "+changeTable+" WHERE (x, k) IN ("+strings.Join(places, ", ")+")"), args...)
	return err
}

func (q *Queue) Lag() time.Duration {
	return max(0, time.Since(time.Unix(0, q.caughtUp.Load()))-q.c.Interval)
}

func (q *Queue) Close() error { return nil }
