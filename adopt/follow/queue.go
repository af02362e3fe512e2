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

	"github.com/go-sql-driver/mysql"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// Queue follows the table of changes. Rows are read, applied and deleted, and never
// skipped by their number: a transaction that commits late has lower ones. What is in
// the table is the position.
type Queue struct {
	// Set once.
	c        *Config
	unseen   func(reason string)
	caughtUp atomic.Int64 // when the last read began that left nothing; unix nanoseconds

	// Owned by the caller of Next.
	taken []taken // returned by the call before: to be deleted with this one
	read  time.Time
	full  bool // the last read was a whole page
}

// taken is a row of the table of changes.
type taken struct {
	n   int64 // its number, or its transaction
	key sql.NullString
}

func beginQueue(ctx context.Context, c *Config) (string, error) {
	return "", checkQueue(ctx, c)
}

// checkQueue reports whether all triggers are there and the table of changes can be read.
func checkQueue(ctx context.Context, c *Config) error {
	all, err := triggersOf(ctx, c)
	if err != nil {
		return err
	}
	conn, err := c.DB.Conn(ctx)
	if err != nil {
		return fail("triggers", "", err)
	}
	defer conn.Close()
	there, err := triggersThere(ctx, conn, c.Engine)
	if err != nil {
		return err
	}
	for _, m := range madeFor(c.Engine, all) {
		if _, ok := there[m.trigger]; !ok && m.trigger != "" {
			return &chat.Error{Kind: chat.NotFound, Op: "follow.triggers", Subject: c.Table.Name,
				Text: "the trigger " + m.trigger + " is missing, or cannot be seen without the right TRIGGER: \"roomtide adopt triggers install\" makes it"}
		}
	}
	_, err = conn.ExecContext(ctx, "DELETE FROM "+changeTable+" WHERE 1 = 0")
	return fail("triggers", changeTable, err)
}

func openQueue(ctx context.Context, c *Config, unseen func(string)) (*Queue, error) {
	if err := checkQueue(ctx, c); err != nil {
		return nil, err
	}
	q := &Queue{c: c, unseen: unseen}
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
		if q.full = len(page) == pageRows; !q.full {
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
			q.unseen("a table was emptied with TRUNCATE")
		default:
			keys = append(keys, source.Key(k))
		}
		seen[k] = true
	}
	return keys
}

func (q *Queue) page(ctx context.Context) ([]taken, error) {
	columns := map[Engine]string{MySQL: "n, k", Postgres: "x, k"}[q.c.Engine]
	rows, err := q.c.DB.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s ORDER BY 1 LIMIT %d", columns, changeTable, pageRows))
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

// delete removes what the call before has returned: it was applied. Writers must not
// wait for that, so that rows are locked and not what is between them.
func (q *Queue) delete(ctx context.Context) error {
	if len(q.taken) == 0 {
		return nil
	}
	text, args := q.deletion()
	err := q.run(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted}, text, args)
	var my *mysql.MySQLError
	if errors.As(err, &my) && my.Number == 1665 { // binlog_format=STATEMENT takes no such transaction
		err = q.run(ctx, nil, text, args)
	}
	if err != nil {
		return fail("queue", changeTable, err)
	}
	q.taken = nil
	return nil
}

func (q *Queue) run(ctx context.Context, o *sql.TxOptions, text string, args []any) error {
	tx, err := q.c.DB.BeginTx(ctx, o)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, text, args...); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func (q *Queue) deletion() (text string, args []any) {
	places := make([]string, len(q.taken))
	for i, row := range q.taken {
		n := strconv.FormatInt(row.n, 10)
		if places[i] = n; q.c.Engine == Postgres {
			places[i], args = "("+n+", ?)", append(args, row.key.String)
		}
	}
	// Without the index a small table is read whole, and waits for rows of open transactions.
	from := map[Engine]string{MySQL: "c FROM " + changeTable + " c FORCE INDEX (PRIMARY) WHERE n", Postgres: "FROM " + changeTable + " WHERE (x, k)"}
	return q.c.Engine.bind("DELETE " + from[q.c.Engine] + " IN (" + strings.Join(places, ", ") + ")"), args
}

func (q *Queue) Lag() time.Duration {
	return max(0, time.Since(time.Unix(0, q.caughtUp.Load()))-q.c.Interval)
}

func (q *Queue) Close() error { return nil }
