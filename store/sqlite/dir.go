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
	"golang.org/x/sync/errgroup"
)

// ControlFile is the name of the control database in a data directory.
const ControlFile = "control.db"

var errLocked = errors.New("another server is using it")

// dirLock is held by the one server that uses a data directory.
type dirLock struct{ release func() error }

// OpenDir opens a data directory for the one server that may use it, and makes
// it if it is missing. shards counts only then: afterwards the stored slot map
// says which files there are. Closing the Store gives the directory back.
func OpenDir(ctx context.Context, dir string, shards int, log *slog.Logger) (*store.Store, error) {
	if shards < 1 || shards > chat.Slots {
		return nil, chat.E(chat.Invalid, fmt.Sprintf("the number of shards must be between 1 and %d", chat.Slots))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, chat.Wrap(kindOf(err), "sqlite.open", err)
	}
	lock, err := takeLock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, chat.Wrap(chat.Unavailable, "sqlite.open", &fileError{dir, err})
	}
	c, err := openControl(ctx, filepath.Join(dir, ControlFile), log)
	if err != nil {
		return nil, errors.Join(err, lock.release())
	}
	c.lock = lock
	s, err := openShards(ctx, dir, shards, c, log)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return s, nil
}

// openShards opens the files of the slot map at the same time. At the first
// start it makes them, and saves the map when they are there: from then on a
// missing file is an error, and never quietly replaced by an empty one.
func openShards(ctx context.Context, dir string, shards int, c *Control, log *slog.Logger) (_ *store.Store, err error) {
	m, err := c.Map(ctx)
	first := chat.KindOf(err) == chat.NotFound
	if first {
		m = store.NewMap(shardNames(shards))
	} else if err != nil {
		return nil, err
	}
	opened := make([]*Shard, len(m.Shards))
	defer func() {
		for _, s := range opened {
			if err != nil && s != nil {
				err = errors.Join(err, s.Close())
			}
		}
	}()
	var g errgroup.Group
	for i, name := range m.Shards {
		g.Go(func() (err error) {
			opened[i], err = openShard(ctx, filepath.Join(dir, name), first, log)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if first {
		if err := c.SaveMap(ctx, m); err != nil {
			return nil, err
		}
	}
	drivers := make([]store.Driver, len(opened))
	for i, s := range opened {
		drivers[i] = s
	}
	return store.New(m, drivers, c)
}

// openShard opens one shard of a directory. A new directory may hold files of a
// first start that did not get to its end, but no rooms: rooms without a slot
// map mean that the control database was lost, and another map would hide them.
func openShard(ctx context.Context, path string, first bool, log *slog.Logger) (*Shard, error) {
	if !first {
		if st, err := os.Stat(path); err != nil || st.Size() == 0 {
			return nil, chat.Wrap(chat.Internal, "sqlite.open", &fileError{path, errors.New("the shard's file is missing or empty")})
		}
	}
	s, err := Open(ctx, path, log)
	if err != nil || !first {
		return s, err
	}
	var rooms bool
	err = s.db.w.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM rooms)").Scan(&rooms)
	if err == nil && rooms {
		err = errors.New("the shard has rooms but " + ControlFile + " knows of no shard: put the right " + ControlFile + " back")
	}
	if err != nil {
		return nil, errors.Join(s.db.fail("open", err), s.Close())
	}
	return s, nil
}

func shardNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("shard-%d.db", i)
	}
	return names
}
