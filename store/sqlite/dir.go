package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// ControlFile is the name of the control database in a data directory.
const ControlFile = "control.db"

var errLocked = errors.New("its lock is held")

// dirLock is held by the one server that uses a data directory.
type dirLock struct{ release func() error }

// Dir is store.Opener for a data directory: a file for the control database and
// one for each shard.
type Dir struct {
	// Set once.
	path   string
	shards int
	log    *slog.Logger

	lock *dirLock // nil unless Lock has taken it
}

var _ store.Opener = (*Dir)(nil)

// NewDir returns the opener of a data directory, which gets so many shards when it
// is made.
func NewDir(path string, shards int, log *slog.Logger) *Dir {
	return &Dir{path: path, shards: shards, log: log}
}

// Names returns the files that a first start makes. The map names those that there
// are from then on.
func (d *Dir) Names(first bool) []string {
	if !first {
		return nil
	}
	names := make([]string, max(d.shards, 0))
	for i := range names {
		names[i] = fmt.Sprintf("shard-%d.db", i)
	}
	return names
}

// Lock makes the directory if it is missing and locks it for this process.
func (d *Dir) Lock(context.Context) error {
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return chat.Wrap(kindOf(err), "sqlite.lock", err)
	}
	lock, err := takeLock(filepath.Join(d.path, "lock"))
	if err != nil {
		return d.lockFailed(err)
	}
	d.lock = lock
	return nil
}

// lockFailed says which directory cannot be locked, and what to do if it is in use.
func (d *Dir) lockFailed(err error) error {
	path := d.path
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	e := &chat.Error{Kind: kindOf(err), Op: "sqlite.lock", Err: &fileError{path, err}}
	if errors.Is(err, errLocked) {
		e.Kind, e.Err = chat.Unavailable, err
		e.Text = "the data directory " + path + " is in use by another roomtide: stop that one first, or choose another directory with --data-dir"
	}
	return e
}

func (d *Dir) OpenControl(ctx context.Context, create bool) (store.Control, error) {
	path := filepath.Join(d.path, ControlFile)
	if !create {
		if _, err := os.Stat(path); err != nil {
			return nil, missing("open_control", path, err)
		}
	}
	c, err := OpenControl(ctx, path, d.log)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (d *Dir) OpenShard(ctx context.Context, name string, create bool) (store.Driver, error) {
	path := filepath.Join(d.path, name)
	if !create {
		st, err := os.Stat(path)
		if err == nil && st.Size() == 0 {
			err = errors.New("the file is empty")
		}
		if err != nil {
			return nil, missing("open", path, err)
		}
	}
	s, err := Open(ctx, path, d.log)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func missing(op, path string, err error) error {
	return chat.Wrap(chat.NotFound, "sqlite."+op, &fileError{path, err})
}

// Close gives the directory back.
func (d *Dir) Close() error {
	if d.lock == nil {
		return nil
	}
	err := d.lock.release()
	d.lock = nil
	return err
}
