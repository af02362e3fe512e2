package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// readers is the number of connections that answer questions at once.
const readers = 4

// database is one SQLite file in WAL mode: readers see the last commit and wait
// for nobody. There is no mmap: a fault in a mapped file is a signal, not an
// error.
type database struct {
	path   string // set once
	log    *slog.Logger
	w      *sql.DB // the one connection that writes; taking it is waiting for one's turn
	r      *sql.DB // query_only
	closed atomic.Bool
}

// writerOptions are those of the connection that writes, and so makes the file.
// A commit is on the disk when it returns (FULL). The write-ahead log is copied
// into the file when it has about 64 MB and then used again from its start.
var writerOptions = url.Values{
	"_txlock":       {"immediate"},
	"_busy_timeout": {"5000"},
	"_foreign_keys": {"on"},
	"_journal_mode": {"WAL"},
	"_synchronous":  {"FULL"},
	"_pragma": {
		"page_size(8192)",
		"cache_size(-8000)",
		"wal_autocheckpoint(8000)",
		"journal_size_limit(67108864)",
	},
}

var readerOptions = url.Values{
	"_busy_timeout": {"5000"},
	"_foreign_keys": {"on"},
	"_query_only":   {"on"},
	"_pragma":       {"cache_size(-2000)"},
}

// openDatabase opens or makes the file and brings its schema up to date.
func openDatabase(ctx context.Context, path, schema string, log *slog.Logger) (*database, error) {
	d := &database{path: path, log: log.With("file", path)}
	if err := checkHeader(path); err != nil {
		return nil, d.fail("open", err)
	}
	if err := makePrivate(path); err != nil {
		return nil, d.fail("open", err)
	}
	var err error
	if d.w, err = openPool(path, writerOptions, 1); err != nil {
		return nil, d.fail("open", err)
	}
	if err := d.migrate(ctx, schema); err != nil {
		return nil, d.abandon(err)
	}
	if d.r, err = openPool(path, readerOptions, readers); err != nil {
		return nil, d.abandon(err)
	}
	return d, nil
}

// makePrivate makes the file, if there is none, for its owner alone. SQLite
// gives the files beside it the same permissions. An empty file is a new
// database.
func makePrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// migrate is the first use of the file. The switch of a new file to WAL mode
// does not wait under the busy timeout, so that two processes that make it at
// the same time see each other; then this waits instead.
func (d *database) migrate(ctx context.Context, schema string) error {
	for end := time.Now().Add(5 * time.Second); ; {
		err := migrate(ctx, d.w, schema, d.log)
		if resultCode(err)&0xff != sqlite3.SQLITE_BUSY || time.Now().After(end) {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// openPool makes a pool that keeps its connections.
func openPool(path string, options url.Values, size int) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	abs = filepath.ToSlash(abs)
	if !strings.HasPrefix(abs, "/") {
		abs = "/" + abs // a drive letter
	}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: options.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return db, nil
}

// abandon closes what was opened because of err, and returns err.
func (d *database) abandon(err error) error {
	err = d.fail("open", err)
	return errors.Join(err, d.close())
}

// close waits for the transaction in progress. The last connection copies the
// write-ahead log into the file.
func (d *database) close() error {
	if d.closed.Swap(true) {
		return nil
	}
	var errs []error
	if d.r != nil {
		errs = append(errs, d.r.Close())
	}
	errs = append(errs, d.w.Close())
	return d.fail("close", errors.Join(errs...))
}

// write runs fn in one transaction, and commits it if fn returns nil. ctx says
// how long to wait for one's turn; a transaction that has begun goes to its end
// and is bounded by the busy timeout alone, since one that is interrupted in
// its commit has an outcome that nobody knows.
func (d *database) write(ctx context.Context, op string, fn func(*sql.Tx) error) error {
	conn, err := d.w.Conn(ctx)
	if err != nil {
		return d.fail(op, err)
	}
	defer conn.Close()
	tx, err := conn.BeginTx(context.Background(), nil)
	if err != nil {
		d.clean(conn)
		return d.fail(op, err)
	}
	if err := fn(tx); err != nil {
		_ = tx.Rollback() // clean sees to it
		d.clean(conn)
		return d.fail(op, err)
	}
	if err := tx.Commit(); err != nil {
		d.clean(conn)
		return d.failCommit(op, err)
	}
	return nil
}

// clean makes sure that the writer's connection has no open transaction after
// something failed. SQLite ends a transaction by itself on some errors, so that
// "there is none" is the usual answer. A connection that does not answer is
// replaced.
func (d *database) clean(conn *sql.Conn) {
	_, err := conn.ExecContext(context.Background(), "ROLLBACK")
	var e *sqlite.Error
	if err == nil || errors.As(err, &e) && e.Code() == sqlite3.SQLITE_ERROR {
		return
	}
	d.log.Warn("the writer's connection is replaced", "err", err)
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
}

// brief is the context of a read that is bounded and soon over, instead of ctx: it
// fails if ctx has ended, and is not interrupted after that. A context that can
// end costs a goroutine of database/sql and one of the driver for each query.
func brief(ctx context.Context) (context.Context, error) { return context.Background(), ctx.Err() }

// snapshot runs fn in a read transaction: everything it asks is answered as of
// one commit.
func (d *database) snapshot(ctx context.Context, op string, fn func(*sql.Tx) error) error {
	ctx, err := brief(ctx)
	if err != nil {
		return d.fail(op, err)
	}
	tx, err := d.r.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return d.fail(op, err)
	}
	defer tx.Rollback()
	return d.fail(op, fn(tx))
}

// ownSnapshot is snapshot on the writer's connection.
func (d *database) ownSnapshot(ctx context.Context, op string, fn func(*sql.Tx) error) error {
	conn, err := d.w.Conn(ctx)
	if err != nil {
		return d.fail(op, err)
	}
	defer conn.Close()
	tx, err := conn.BeginTx(context.Background(), &sql.TxOptions{ReadOnly: true})
	if err == nil {
		err = fn(tx)
		if e := tx.Rollback(); err == nil {
			err = e
		}
	}
	if err != nil {
		d.clean(conn)
	}
	return d.fail(op, err)
}

// A query is a statement to prepare and where to keep it.
type query struct {
	stmt **sql.Stmt
	text string
}

// prepare prepares statements once for all connections of a pool. They are
// closed with it.
func prepare(ctx context.Context, db *sql.DB, qs []query) error {
	for _, q := range qs {
		st, err := db.PrepareContext(ctx, q.text)
		if err != nil {
			return err
		}
		*q.stmt = st
	}
	return nil
}
