package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/go-sql-driver/mysql"

	"github.com/roomtide/roomtide/store/sqldb"
)

// database is sqldb.Engine: a pool of connections that read, and that write for the
// control database.
type database struct {
	// Set once.
	o         sqldb.Options
	d         *sqldb.Dialect
	name      string // of the database in its server
	connector driver.Connector
	pool      *sql.DB
	maxPacket int // bytes; set by look

	closed atomic.Bool
}

var _ sqldb.Engine = (*database)(nil)

// tableBytes has what the server knows of its tables, which may be some minutes old.
const tableBytes = `SELECT CAST(coalesce(sum(data_length + index_length), 0) AS SIGNED) FROM information_schema.tables
	WHERE table_schema = database() AND table_name IN (names)`

// connect makes the pool; no connection is opened yet.
func connect(o sqldb.Options) (*database, error) {
	o, err := o.WithDefaults()
	if err != nil {
		return nil, err
	}
	c, err := parse(&o)
	if err != nil {
		return nil, err
	}
	made, err := mysql.NewConnector(c)
	if err != nil {
		return nil, o.Invalid("the DSN cannot be used", err)
	}
	db := &database{o: o, name: c.DBName, connector: &connector{made, o.ConnectTimeout}}
	db.d = &sqldb.Dialect{Prefix: o.Prefix, Replace: replace, Pick: pick, Rules: rules,
		Integer: "SIGNED", Now: "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000", TableBytes: tableBytes}
	db.pool = sql.OpenDB(db.connector)
	db.pool.SetMaxOpenConns(o.MaxConns)
	db.pool.SetMaxIdleConns(o.MaxConns)
	return db, nil
}

// beside is a pool of its own with so many connections to the same database.
func (db *database) beside(conns int) *database {
	other := &database{o: db.o, d: db.d, name: db.name, connector: db.connector, maxPacket: db.maxPacket, pool: sql.OpenDB(db.connector)}
	other.pool.SetMaxOpenConns(conns)
	other.pool.SetMaxIdleConns(conns)
	return other
}

// replace is the statement's end that both servers understand.
func replace(_, columns []string) string {
	set := make([]string, len(columns))
	for i, c := range columns {
		set[i] = c + " = VALUES(" + c + ")"
	}
	return "ON DUPLICATE KEY UPDATE " + strings.Join(set, ", ")
}

func (db *database) Dialect() *sqldb.Dialect { return db.d }

func (db *database) Close() error {
	if db.closed.Swap(true) {
		return nil
	}
	return db.pool.Close()
}

// with runs fn with a connection of the pool. After an error the connection is
// closed: what state it is in is not known.
func (db *database) with(ctx context.Context, fn func(conn) error) error {
	c, err := db.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	var failed error
	err = c.Raw(func(raw any) error {
		if failed = fn(conn{raw.(driver.Conn)}); failed != nil {
			return driver.ErrBadConn
		}
		return nil
	})
	return firstErr(failed, err)
}

// firstErr is the first that is not nil.
func firstErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Ask answers one question by itself, several in a transaction.
func (db *database) Ask(ctx context.Context, qs ...sqldb.Question) error {
	if len(qs) == 0 {
		return nil
	}
	before, after := beginSnapshot, end
	if len(qs) == 1 {
		before, after = "", ""
	}
	seen := false
	ask := func() error {
		return db.with(ctx, func(c conn) (err error) {
			seen, err = c.ask(ctx, db.d, before, after, qs)
			return err
		})
	}
	err := ask()
	if err != nil && !seen && lost(ctx, err) {
		err = ask()
	}
	return db.fail("ask", err)
}

// lost reports whether the connection has failed, so that another one may not.
func lost(ctx context.Context, err error) bool {
	return ctx.Err() == nil && number(err) == 0 && (errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn))
}

// snapshot asks on one connection in one transaction.
type snapshot struct {
	db *database
	c  conn
}

func (s snapshot) Ask(ctx context.Context, qs ...sqldb.Question) error {
	if len(qs) == 0 {
		return nil
	}
	_, err := s.c.ask(ctx, s.db.d, "", "", qs)
	return s.db.fail("ask", err)
}

func (db *database) Snapshot(ctx context.Context, fn func(sqldb.Asker) error) error {
	err := db.with(ctx, func(c conn) error {
		if err := c.exec(ctx, beginSnapshot, nil); err != nil {
			return err
		}
		if err := fn(snapshot{db, c}); err != nil {
			return err
		}
		return c.exec(ctx, end, nil)
	})
	return db.fail("snapshot", err)
}

// Exec sends one packet. An error inside it ends the packet before its COMMIT, and with
// the connection the transaction.
func (db *database) Exec(ctx context.Context, ss ...sqldb.Statement) error {
	var p packet
	p.add("START TRANSACTION", nil)
	for i := range ss {
		p.add(db.d.SQL(ss[i].Text), ss[i].Args)
	}
	p.add(end, nil)
	var err error
	for range tries {
		err = db.with(ctx, func(c conn) error { return c.exec(ctx, p.text.String(), p.args) })
		if !again(err) {
			break
		}
	}
	return db.fail("exec", err)
}
