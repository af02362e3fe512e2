package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"

	"github.com/pressly/goose/v3"
)

// migrations holds the schema of each kind of file as numbered steps. They go
// forward only, and a released one never changes.
//
//go:embed migrations
var migrations embed.FS

// migrate brings the schema to the newest version this program knows. It
// refuses a file that a newer program has written.
func migrate(ctx context.Context, db *sql.DB, schema string, log *slog.Logger) error {
	dir, err := fs.Sub(migrations, "migrations/"+schema)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	for {
		have, known, err := p.GetVersions(ctx)
		if err != nil {
			return err
		}
		if have > known {
			return fmt.Errorf("schema version %d is newer than this program, which knows %d: use the newer program", have, known)
		}
		if have == known {
			return nil
		}
		if _, err := p.Up(ctx); err != nil {
			// Another process may be doing the same. A step that it took is as good.
			if now, _, e := p.GetVersions(ctx); e != nil || now == have {
				return err
			}
			continue
		}
		level := slog.LevelInfo
		if have == 0 { // the file is new: nothing was changed
			level = slog.LevelDebug
		}
		log.Log(ctx, level, "schema brought up to date", "from", have, "to", known)
		return nil
	}
}

// magic are the first bytes of every SQLite file.
const magic = "SQLite format 3\x00"

// checkHeader refuses a file that cannot be a database. SQLite itself reads a
// file that was cut inside its header as an empty database. A file that does
// not exist or has nothing in it is fine: it will be made.
func checkHeader(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var h [100]byte
	n, err := io.ReadFull(f, h[:])
	switch {
	case err == io.EOF:
		return nil
	case err != nil && err != io.ErrUnexpectedEOF:
		return err
	case string(h[:min(n, len(magic))]) != magic[:min(n, len(magic))]:
		return errors.New("not a SQLite database")
	case err != nil:
		return errors.New("the file is cut off: its header is not whole")
	}
	return nil
}
