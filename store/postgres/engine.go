package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store/sqldb"
)

// engine is a pool of connections that answers questions. It is safe for concurrent
// use.
type engine struct {
	name    string // of the database, in errors
	db      *sql.DB
	dialect *sqldb.Dialect
	texts   sync.Map // statement in the common form -> that of PostgreSQL
}

var _ sqldb.Engine = (*engine)(nil)

func newEngine(name string, db *sql.DB, d *sqldb.Dialect) *engine {
	return &engine{name: name, db: db, dialect: d}
}

func (e *engine) Dialect() *sqldb.Dialect { return e.dialect }

func (e *engine) Close() error { return fail("close", e.name, e.db.Close()) }

// sql is Dialect.SQL, once for each statement: there are few, since keys are arrays.
func (e *engine) sql(text string) string {
	if s, ok := e.texts.Load(text); ok {
		return s.(string)
	}
	s := e.dialect.SQL(text)
	e.texts.Store(text, s)
	return s
}

// with calls fn with a connection. A connection that does not stand between two
// transactions afterwards is not used again.
func (e *engine) with(ctx context.Context, fn func(*pgx.Conn) error) error {
	conn, err := e.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	raw := conn.Raw(func(c any) error {
		pc := c.(*stdlib.Conn).Conn()
		var row *rowError
		if err = fn(pc); err != nil && (errors.As(err, &row) || !settle(pc)) {
			return driver.ErrBadConn
		}
		return nil
	})
	if err == nil {
		err = raw
	}
	return err
}

// settle ends the transaction that an error has left open, and reports whether the
// connection can be used again.
func settle(c *pgx.Conn) bool {
	if c.IsClosed() {
		return false
	}
	if c.PgConn().TxStatus() == 'I' {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	_, err := c.Exec(ctx, "ROLLBACK")
	return err == nil
}

// settleTime is how long a call may go on after it has failed.
const settleTime = time.Second

// snapshot begins a transaction whose answers are as of one commit.
const snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"

func (e *engine) Ask(ctx context.Context, qs ...sqldb.Question) error {
	if len(qs) == 0 {
		return nil
	}
	return fail("ask", e.name, e.again(ctx, func(seen *bool) error {
		return e.with(ctx, func(c *pgx.Conn) error { return e.ask(ctx, c, qs, len(qs) > 1, seen) })
	}))
}

// again calls fn once more if the connection has failed before anything was seen: it
// may have ended long ago, while it was not used.
func (e *engine) again(ctx context.Context, fn func(seen *bool) error) error {
	seen := false
	err := fn(&seen)
	if err != nil && !seen && ctx.Err() == nil && chat.KindOf(fail("", "", err)) == chat.Unavailable {
		err = fn(&seen)
	}
	return err
}

// ask sends the questions on a connection, in a transaction of their own or in the one
// that is open.
func (e *engine) ask(ctx context.Context, c *pgx.Conn, qs []sqldb.Question, own bool, seen *bool) (err error) {
	b := &pgx.Batch{}
	if own {
		b.Queue(snapshot)
	}
	for i := range qs {
		b.Queue(e.sql(qs[i].Text), escapeAll(qs[i].Args)...)
	}
	if own {
		b.Queue("COMMIT")
	}
	br := c.SendBatch(ctx, b)
	defer func() {
		if e := br.Close(); err == nil {
			err = e
		}
	}()
	if own {
		if _, err := br.Exec(); err != nil {
			return err
		}
	}
	for i := range qs {
		if err := answer(br, &qs[i], seen); err != nil {
			return err
		}
	}
	return nil
}

// answer reads the answer to one question.
func answer(br pgx.BatchResults, q *sqldb.Question, seen *bool) error {
	rows, err := br.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		*seen = true
		if err := q.Row(unescaped{rows}); err != nil {
			return &rowError{err}
		}
	}
	return rows.Err()
}

// rowError is the error of a Question's Row: what came is not what was asked for, or
// what it should be, and the connection is not trusted any more.
type rowError struct{ error }

func (r *rowError) Unwrap() error { return r.error }

// inSnapshot answers questions in the transaction that is open.
type inSnapshot struct {
	e *engine
	c *pgx.Conn
}

func (s inSnapshot) Ask(ctx context.Context, qs ...sqldb.Question) error {
	if len(qs) == 0 {
		return nil
	}
	return fail("ask", s.e.name, s.e.ask(ctx, s.c, qs, false, new(bool)))
}

func (e *engine) Snapshot(ctx context.Context, fn func(sqldb.Asker) error) error {
	return fail("snapshot", e.name, e.again(ctx, func(seen *bool) error {
		return e.with(ctx, func(c *pgx.Conn) error {
			if _, err := c.Exec(ctx, snapshot); err != nil {
				return err
			}
			*seen = true
			if err := fn(inSnapshot{e, c}); err != nil {
				return err
			}
			_, err := c.Exec(ctx, "COMMIT")
			return err
		})
	}))
}

// Exec is one round trip.
func (e *engine) Exec(ctx context.Context, ss ...sqldb.Statement) error {
	return fail("exec", e.name, e.with(ctx, func(c *pgx.Conn) error {
		b := &pgx.Batch{}
		for i := range ss {
			b.Queue(e.sql(ss[i].Text), escapeAll(ss[i].Args)...)
		}
		return run(ctx, c, b)
	}))
}

// refused is the error of one statement of a batch, of which nothing was kept.
type refused struct {
	index int
	err   error
}

func (r *refused) Error() string { return r.err.Error() }
func (r *refused) Unwrap() error { return r.err }

// run sends a batch, which is one transaction, and returns when the server has said that
// it has ended.
func run(ctx context.Context, c *pgx.Conn, b *pgx.Batch) error {
	br := c.SendBatch(ctx, b)
	for i := range b.Len() {
		if _, err := br.Exec(); err != nil {
			if e := br.Close(); e != nil && sqlState(e) == "" {
				err = errors.Join(err, e)
			}
			return &refused{i, err}
		}
	}
	return br.Close()
}
