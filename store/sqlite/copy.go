package sqlite

import (
	"context"
	"errors"
	"net/url"
	"os"

	"modernc.org/sqlite"

	"github.com/roomtide/roomtide/chat"
)

const (
	copyPages = 64      // pages copied at once: half a megabyte
	copySync  = 8 << 20 // bytes after which what was copied is brought to the disk
)

// Copy takes the pages of the file as of the snapshot (SQLite's online backup). The
// copy is brought to the disk bit by bit, so that no commit of the node waits behind all
// of it.
func (s *snapshot) Copy(ctx context.Context, name, path string, progress func(written int64)) error {
	f, err := s.source(name)
	if err != nil {
		return err
	}
	target, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return chat.Wrap(kindOf(err), "sqlite.copy", err)
	}
	err = f.copyTo(ctx, target, progress)
	if err = errors.Join(err, target.Close()); err == nil {
		return nil
	}
	return chat.Wrap(kindOf(err), "sqlite.copy", &fileError{path, err})
}

// backuper is what the driver's connection can do beside SQL.
type backuper interface {
	NewBackup(dsn string) (*sqlite.Backup, error)
}

// copyTo copies into a file that is of no use if it is not whole, and so has no
// journal. The file stays open until SQLite has closed it.
func (f *source) copyTo(ctx context.Context, target *os.File, progress func(written int64)) error {
	dsn, err := dataSource(target.Name(), url.Values{"_journal_mode": {"OFF"}, "_synchronous": {"OFF"}})
	if err != nil {
		return err
	}
	from, ok := f.read.conn.(backuper)
	if !ok {
		return errors.New("the driver cannot copy a database")
	}
	b, err := from.NewBackup(dsn)
	if err != nil {
		return err
	}
	if err := steps(ctx, b, f.info.Bytes, target, progress); err != nil {
		return errors.Join(err, b.Finish())
	}
	return b.Finish()
}

func steps(ctx context.Context, b *sqlite.Backup, size int64, target *os.File, progress func(written int64)) error {
	var synced int64
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		if more, err = b.Step(copyPages); err != nil {
			return err
		}
		written := size
		if n := int64(b.PageCount()); more && n > 0 {
			written = size / n * (n - int64(b.Remaining()))
		}
		if written-synced >= copySync {
			if err := target.Sync(); err != nil {
				return err
			}
			synced = written
		}
		progress(written)
	}
	return nil
}
