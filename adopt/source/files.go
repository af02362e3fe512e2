package source

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/roomtide/roomtide/adopt/mapping"
)

// Files are read into a SQLite database, each as a table with the name of the file: so
// expressions, joins and keys of a mapping mean the same as with a database.

// extensions of the files of a directory, by the scheme of the DSN.
var extensions = map[string][]string{"csv": {".csv", ".tsv"}, "jsonl": jsonLines, "ndjson": jsonLines}

// jsonLines are the names of one format: a JSON object a line.
var jsonLines = []string{".jsonl", ".ndjson", ".jsonlines"}

// IsFiles reports whether a DSN is one of files, which are copied and do not change.
func IsFiles(dsn string) bool {
	scheme, _, ok := strings.Cut(dsn, ":")
	return ok && extensions[scheme] != nil
}

type copied struct {
	path   string
	remove func() error
}

// records is a file of records. next returns io.EOF behind the last one; a nil value is NULL.
type records interface {
	columns() []string
	next() ([]any, error)
	Close() error
}

// copyFiles reads the files of a DSN into a new database in a directory of its own.
func copyFiles(ctx context.Context, src mapping.Source, parent string) (_ copied, err error) {
	scheme, path, _ := strings.Cut(src.DSN, ":")
	files, err := filesOf(strings.TrimPrefix(path, "//"), extensions[scheme])
	if err != nil {
		return copied{}, err
	}
	dir, err := os.MkdirTemp(parent, "roomtide-adopt-")
	if err != nil {
		return copied{}, err
	}
	c := copied{filepath.Join(dir, "copy.db"), func() error { return os.RemoveAll(dir) }}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.remove())
		}
	}()
	if err := os.WriteFile(c.path, nil, 0o600); err != nil {
		return c, err
	}
	db, _, err := dialSQLite(c.path, true)
	if err != nil {
		return c, err
	}
	db.SetMaxOpenConns(1)
	for _, file := range files {
		open := func() (records, error) {
			if scheme == "csv" {
				return openCSV(file, src.Charset)
			}
			return openJSONL(file, src.Charset)
		}
		if err := copyFile(ctx, db, tableName(file), open); err != nil {
			return c, errors.Join(inFile(file, err), db.Close())
		}
	}
	return c, db.Close()
}

func inFile(file string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return invalid("%s: %v", file, err)
}

// filesOf is a file, or the files of a directory.
func filesOf(path string, extensions []string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, invalid("source.dsn: %v", err)
	}
	if !info.IsDir() {
		return []string{path}, nil // whatever its extension is
	}
	var files []string
	for _, e := range extensions {
		found, err := filepath.Glob(filepath.Join(path, "*"+e))
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		return nil, invalid("source.dsn: there is no %s file in %s", strings.Join(extensions, " or "), path)
	}
	slices.Sort(files)
	return files, nil
}

// tableName is the name of a file without its extension.
func tableName(file string) string {
	base := filepath.Base(file)
	return strings.TrimSuffix(base, filepath.Ext(base))
}

// shape is what the values of a column have in common.
type shape struct {
	other bool // one is no whole number
	seen  int  // how many there are
	null  bool // some rows have none
}

var wholeNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,17})$`)

// copyFile reads a file twice: what its columns hold, and then its rows.
func copyFile(ctx context.Context, db *sql.DB, table string, open func() (records, error)) error {
	columns, shapes, err := shapesOf(ctx, open)
	if err != nil {
		return err
	}
	if err := createTable(ctx, db, table, columns, shapes); err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to take back
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = SQLite.Quote(c)
	}
	insert, err := tx.PrepareContext(ctx, "INSERT INTO "+SQLite.Quote(table)+" ("+strings.Join(quoted, ", ")+") VALUES (?"+strings.Repeat(", ?", len(columns)-1)+")")
	if err != nil {
		return err
	}
	if _, err := eachRecord(ctx, open, func(values []any) error {
		for len(values) < len(columns) {
			values = append(values, nil)
		}
		_, err := insert.ExecContext(ctx, values...)
		return err
	}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	return index(ctx, db, table, columns, shapes)
}

// shapesOf reads a file for the names of its columns and what they hold.
func shapesOf(ctx context.Context, open func() (records, error)) (columns []string, shapes []shape, err error) {
	total := 0
	columns, err = eachRecord(ctx, open, func(values []any) error {
		total++
		for len(shapes) < len(values) {
			shapes = append(shapes, shape{})
		}
		for i, v := range values {
			if text, ok := v.(string); ok {
				shapes[i].seen++
				shapes[i].other = shapes[i].other || !wholeNumber.MatchString(text)
			}
		}
		return nil
	})
	for i := range shapes {
		shapes[i].null = shapes[i].seen < total
	}
	return columns, shapes, err
}

func eachRecord(ctx context.Context, open func() (records, error), f func([]any) error) (columns []string, err error) {
	r, err := open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for {
		values, err := r.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = f(values)
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
	}
	if columns = r.columns(); len(columns) == 0 {
		return nil, errors.New("it has no columns")
	}
	return columns, nil
}

// rowNumber is a column that every copy has, as the last one: a key where the file has none.
const rowNumber = mapping.RowNumber

func createTable(ctx context.Context, db *sql.DB, table string, columns []string, shapes []shape) error {
	var parts []string
	for i, c := range columns {
		typ := "TEXT"
		if i < len(shapes) && !shapes[i].other {
			typ = "INTEGER"
		}
		if i < len(shapes) && !shapes[i].null {
			typ += " NOT NULL"
		}
		parts = append(parts, SQLite.Quote(c)+" "+typ)
	}
	parts = append(parts, SQLite.Quote(rowNumber)+" INTEGER PRIMARY KEY")
	_, err := db.ExecContext(ctx, "CREATE TABLE "+SQLite.Quote(table)+" ("+strings.Join(parts, ", ")+")")
	return err
}

var idName = regexp.MustCompile(`(?i)(^|_)(id|uuid|guid|pk)$|^\w+id$`)

// index finds out which columns are keys, and makes the others quick to join.
func index(ctx context.Context, db *sql.DB, table string, columns []string, shapes []shape) error {
	for i, c := range columns {
		if !idName.MatchString(c) {
			continue
		}
		on := " ON " + SQLite.Quote(table) + " (" + SQLite.Quote(c) + ")"
		if i < len(shapes) && !shapes[i].null {
			if _, err := db.ExecContext(ctx, "CREATE UNIQUE INDEX "+SQLite.Quote("key_"+table+"_"+c)+on); err == nil {
				continue
			}
		}
		if _, err := db.ExecContext(ctx, "CREATE INDEX "+SQLite.Quote("index_"+table+"_"+c)+on); err != nil {
			return err
		}
	}
	return nil
}
