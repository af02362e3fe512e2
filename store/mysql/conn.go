package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/roomtide/roomtide/store/sqldb"
)

// conn is one connection as the driver makes it, with no database/sql in front of it:
// that would look at each of thousands of arguments.
type conn struct{ driver.Conn }

// alive reports whether the other end has not closed the connection.
func (c conn) alive(ctx context.Context) bool {
	return c.Conn.(driver.SessionResetter).ResetSession(ctx) == nil
}

// exec sends one packet and reads that all of it was done.
func (c conn) exec(ctx context.Context, text string, args []driver.NamedValue) error {
	_, err := c.Conn.(driver.ExecerContext).ExecContext(ctx, text, args)
	return err
}

// A packet is some statements that are sent together.
type packet struct {
	text strings.Builder
	args []driver.NamedValue
}

func (p *packet) add(text string, args []any) {
	if p.text.Len() > 0 {
		p.text.WriteString("; ")
	}
	p.text.WriteString(text)
	for _, a := range args {
		p.args = append(p.args, driver.NamedValue{Ordinal: len(p.args) + 1, Value: a})
	}
}

const (
	beginSnapshot = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
	end           = "COMMIT"
)

// ask sends the questions between two statements without an answer, which may be
// empty, and calls Row for the rows. seen reports whether there was one.
func (c conn) ask(ctx context.Context, d *sqldb.Dialect, before, after string, qs []sqldb.Question) (seen bool, err error) {
	var p packet
	if before != "" {
		p.add(before, nil)
	}
	for i := range qs {
		p.add(d.SQL(qs[i].Text), qs[i].Args)
	}
	if after != "" {
		p.add(after, nil)
	}
	rows, err := c.Conn.(driver.QueryerContext).QueryContext(ctx, p.text.String(), p.args)
	if err != nil {
		return false, err
	}
	defer func() {
		if e := rows.Close(); err == nil {
			err = e
		}
	}()
	more, ok := rows.(driver.RowsNextResultSet)
	if !ok {
		return false, fmt.Errorf("the driver's rows are %T", rows)
	}
	for i := range qs {
		if i > 0 {
			if err := more.NextResultSet(); err != nil {
				return seen, unexpected(err, io.EOF, "a question has no answer")
			}
		}
		any, err := readRows(rows, qs[i].Row)
		seen = seen || any
		if err != nil {
			return seen, err
		}
	}
	// What follows has no rows, but may have an error.
	err = more.NextResultSet()
	if errors.Is(err, io.EOF) {
		return seen, nil
	}
	if err == nil {
		err = errors.New("there are more answers than questions")
	}
	return seen, err
}

// unexpected is err, or what it means if it is one that should not be.
func unexpected(err, not error, meaning string) error {
	if errors.Is(err, not) {
		return errors.New(meaning)
	}
	return err
}

func readRows(rows driver.Rows, fn func(sqldb.Scanner) error) (seen bool, err error) {
	dest := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(dest); {
		case err == io.EOF:
			return seen, nil
		case err != nil:
			return seen, err
		}
		seen = true
		if err := fn(values(dest)); err != nil {
			return seen, err
		}
	}
}

// values is one row as the driver returns it, valid until the next.
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

// assign stores v in d. Sums of integers come as decimal text.
func assign(d any, v driver.Value) error {
	switch d := d.(type) {
	case *int64:
		switch v := v.(type) {
		case int64:
			*d = v
			return nil
		case uint64:
			*d = int64(v)
			return nil
		case []byte:
			n, err := strconv.ParseInt(string(v), 10, 64)
			*d = n
			return err
		}
	case *string:
		if v, ok := v.([]byte); ok {
			*d = string(v)
			return nil
		}
	case *[]byte:
		switch v := v.(type) {
		case []byte:
			*d = append([]byte{}, v...)
			return nil
		case nil:
			*d = nil
			return nil
		}
	}
	return fmt.Errorf("%T does not take a value of type %T", d, v)
}
