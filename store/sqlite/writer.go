package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/roomtide/roomtide/chat"
)

// writer is the one connection of a file that writes: the driver's own, with no
// database/sql in front of it. Checking and converting fourteen arguments a
// message there took a quarter of a commit (decision 10).
//
// A statement is known by its text and prepared when it first runs. Arguments
// have the types of driver.Value; any other type is an error.
//
// Owned by the holder of database.turn.
type writer struct {
	dsn  string // set once
	log  *slog.Logger
	conn driver.Conn // nil after it has failed: opened again by connect
	stmt map[string]statement
	args []driver.NamedValue // of the statement that runs
	dest []driver.Value      // the row that is read

	tight  bool      // the write-ahead log of this connection is kept small
	looked time.Time // when the free space was looked at last
}

// statement is what a prepared statement of the driver can do.
type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// connect opens the connection unless it is open.
func (w *writer) connect(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	c, err := sqlite.NewConnector(w.dsn)
	if err != nil {
		return err
	}
	if w.conn, err = c.Connect(ctx); err != nil {
		w.conn = nil
		return err
	}
	w.stmt, w.tight = map[string]statement{}, false
	return nil
}

// close finalizes the statements first: a connection with open statements would
// stay open, and would not copy the write-ahead log into the file.
func (w *writer) close() error {
	if w.conn == nil {
		return nil
	}
	var errs []error
	for _, st := range w.stmt {
		errs = append(errs, st.Close())
	}
	errs = append(errs, w.conn.Close())
	w.conn, w.stmt = nil, nil
	return errors.Join(errs...)
}

// prepare returns the statement with its arguments in w.args.
func (w *writer) prepare(text string, args []any) (statement, error) {
	st, ok := w.stmt[text]
	if !ok {
		prepared, err := w.conn.Prepare(text)
		if err != nil {
			return nil, err
		}
		if st, ok = prepared.(statement); !ok {
			return nil, fmt.Errorf("the driver's statements are %T", prepared)
		}
		w.stmt[text] = st
	}
	w.args = w.args[:0]
	for i, v := range args {
		w.args = append(w.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return st, nil
}

// exec runs a statement to its end and returns how many rows it has changed.
// The context of a statement is one that does not end: see database.write.
func (w *writer) exec(text string, args ...any) (int64, error) {
	st, err := w.prepare(text, args)
	if err != nil {
		return 0, err
	}
	r, err := st.ExecContext(context.Background(), w.args)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// each calls fn for each row of the answer, which is valid until fn returns.
// fn does not use the writer.
func (w *writer) each(text string, fn func(scanner) error, args ...any) (err error) {
	st, err := w.prepare(text, args)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(context.Background(), w.args)
	if err != nil {
		return err
	}
	defer func() {
		if e := rows.Close(); err == nil {
			err = e
		}
	}()
	n := len(rows.Columns())
	if cap(w.dest) < n {
		w.dest = make([]driver.Value, n)
	}
	for {
		row := values(w.dest[:n])
		if err := rows.Next(row); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := fn(row); err != nil {
			return err
		}
	}
}

// row is each for a statement that finds one row or none, which is the error
// sql.ErrNoRows.
func (w *writer) row(text string, fn func(scanner) error, args ...any) error {
	found := false
	err := w.each(text, func(s scanner) error {
		found = true
		return fn(s)
	}, args...)
	if err == nil && !found {
		err = sql.ErrNoRows
	}
	return err
}

// clean makes sure that no transaction is open after something failed. SQLite
// ends a transaction by itself on some errors, so that "there is none" is the
// usual answer. A connection that gives no answer is closed, and the next turn
// opens another.
func (w *writer) clean() {
	if w.conn == nil {
		return
	}
	_, err := w.exec("ROLLBACK")
	var e *sqlite.Error
	if err == nil || errors.As(err, &e) && e.Code() == sqlite3.SQLITE_ERROR {
		return
	}
	w.log.Warn("the writer's connection is replaced", "err", err, "close", w.close())
}

// values is one row as the driver returns it. A value has the type that it was
// stored with.
type values []driver.Value

func (v values) Scan(dest ...any) error {
	if len(dest) != len(v) {
		return fmt.Errorf("a row of %d columns for %d destinations", len(v), len(dest))
	}
	for i, d := range dest {
		if err := assign(d, v[i]); err != nil {
			return fmt.Errorf("column %d: %w", i, err)
		}
	}
	return nil
}

// assign stores v in d, which points at one of the types that rows are read
// into.
func assign(d any, v driver.Value) error {
	switch v := v.(type) {
	case int64:
		switch d := d.(type) {
		case *int64:
			*d = v
			return nil
		case *int:
			*d = int(v)
			return nil
		case *bool:
			*d = v != 0
			return nil
		case *chat.Role:
			*d = chat.Role(v)
			return nil
		}
	case string:
		if d, ok := d.(*string); ok {
			*d = v
			return nil
		}
	case []byte:
		if d, ok := d.(*[]byte); ok {
			*d = v
			return nil
		}
	case nil:
		if d, ok := d.(*[]byte); ok {
			*d = nil
			return nil
		}
	}
	return fmt.Errorf("%T does not take a value of type %T", d, v)
}
