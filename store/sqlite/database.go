package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

// readers is the number of connections that answer questions at once.
const readers = 4

// database is one SQLite file in WAL mode: readers see the last commit and wait
// for no writer. There is no mmap: a fault in a mapped file is a signal, not an
// error.
type database struct {
	// Set once.
	path string
	log  *slog.Logger
	turn chan *writer                            // holds the writer while it is idle; closed with the file
	r    *sql.DB                                 // query_only
	free func(dir string) (bytes int64, ok bool) // freeSpace; tests set it

	closed atomic.Bool
}

// errClosed is the answer to writing after close.
var errClosed = errors.New("the file is closed")

// writerOptions are those of the connection that writes, and so makes the file.
// A commit is on the disk when it returns (FULL). The write-ahead log is copied
// into the file when it has about 64 MB (space.go) and then used again from its start.
var writerOptions = url.Values{
	"_txlock":       {"immediate"},
	"_busy_timeout": {"5000"},
	"_foreign_keys": {"on"},
	"_journal_mode": {"WAL"},
	"_synchronous":  {"FULL"},
	"_pragma": {
		"page_size(8192)",
		"cache_size(-8000)",
		"wal_autocheckpoint(" + strconv.Itoa(walPages) + ")",
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
	d := &database{path: path, log: log.With("file", path), turn: make(chan *writer, 1), free: freeSpace}
	if err := checkHeader(path); err != nil {
		return nil, d.fail("open", err)
	}
	if err := makePrivate(path); err != nil {
		return nil, d.fail("open", err)
	}
	w := &writer{log: d.log}
	d.turn <- w
	var err error
	if w.dsn, err = dataSource(path, writerOptions); err != nil {
		return nil, d.abandon(err)
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
		err := d.tryMigrate(ctx, schema)
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

// tryMigrate uses connections of its own, while the writer has the file open:
// the last one that closes it would copy the write-ahead log.
func (d *database) tryMigrate(ctx context.Context, schema string) (err error) {
	return d.inTurn(ctx, func(*writer) error {
		db, err := openPool(d.path, writerOptions, 1)
		if err != nil {
			return err
		}
		err = migrate(ctx, db, schema, d.log)
		return errors.Join(err, db.Close())
	})
}

// openPool makes a pool that keeps its connections.
func openPool(path string, options url.Values, size int) (*sql.DB, error) {
	dsn, err := dataSource(path, options)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return db, nil
}

// dataSource returns the driver's name for the file, opened with the options.
func dataSource(path string, options url.Values) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	abs = filepath.ToSlash(abs)
	if !strings.HasPrefix(abs, "/") {
		abs = "/" + abs // a drive letter
	}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: options.Encode()}
	return u.String(), nil
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
	w := <-d.turn
	close(d.turn)
	errs = append(errs, w.close())
	return d.fail("close", errors.Join(errs...))
}

// inTurn runs fn with the writer, whose connection is open. ctx says how long to
// wait for the turn.
func (d *database) inTurn(ctx context.Context, fn func(*writer) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case w, ok := <-d.turn:
		if !ok {
			return errClosed
		}
		defer func() { d.turn <- w }()
		if err := w.connect(ctx); err != nil {
			return err
		}
		return fn(w)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write runs fn in one transaction, and commits it if fn returns nil. Where the disk is
// full, it runs fn once more if that has given space back. ctx says
// how long to wait for the turn; a transaction that has begun goes to its end
// and is bounded by the busy timeout alone, since the outcome of a commit that
// is interrupted is unknown.
func (d *database) write(ctx context.Context, op string, fn func(*writer) error) error {
	err := d.tryWrite(ctx, op, fn)
	if err != nil && d.makeRoom(ctx, err) {
		err = d.tryWrite(ctx, op, fn)
	}
	return err
}

// tryWrite is write, once.
func (d *database) tryWrite(ctx context.Context, op string, fn func(*writer) error) error {
	committing := false
	err := d.transaction(ctx, "BEGIN IMMEDIATE", func(w *writer) error {
		if err := fn(w); err != nil {
			return err
		}
		committing = true
		if _, err := w.exec("COMMIT"); err != nil {
			return err
		}
		d.watchSpace(w)
		return nil
	})
	if err != nil && committing {
		return d.failCommit(op, err)
	}
	return d.fail(op, err)
}

// ownSnapshot is snapshot on the writer's connection.
func (d *database) ownSnapshot(ctx context.Context, op string, fn func(*writer) error) error {
	return d.fail(op, d.transaction(ctx, "BEGIN", func(w *writer) error {
		if err := fn(w); err != nil {
			return err
		}
		_, err := w.exec("ROLLBACK")
		return err
	}))
}

// transaction runs fn after begin. fn ends the transaction; if it fails, or
// panics, the transaction is rolled back.
func (d *database) transaction(ctx context.Context, begin string, fn func(*writer) error) error {
	return d.inTurn(ctx, func(w *writer) error {
		done := false
		defer func() {
			if !done {
				w.clean()
			}
		}()
		_, err := w.exec(begin)
		if err == nil {
			err = fn(w)
		}
		done = err == nil
		return err
	})
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
