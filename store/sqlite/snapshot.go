package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

var _ store.Snapshotter = (*Dir)(nil)

const (
	// snapshotHold is how long commits are held up at most while the write locks of all
	// files are taken; then they are given back, and taken anew a little later.
	snapshotHold = 100 * time.Millisecond
	snapshotPoll = 200 * time.Microsecond // between two looks whether a lock is free
	snapshotWait = time.Minute            // for all of it
)

// source is one file of a snapshot, with two connections of its own: SQLite lets the
// one that holds the write lock be copied from by no other.
type source struct {
	name string
	path string
	gate *writer // takes the write lock for the instant
	read *writer // has the read transaction of the snapshot open
	info store.SnapshotFile
}

// snapshot is store.Snapshot: a read transaction on every file, all begun while the
// write locks of all of them were held. No commit can lie between them, so the copies
// are what a power cut at that instant would have left: whatever rests on two files
// (the room lists of users, cursors of the outbox, the slot map) fits together.
type snapshot struct {
	sources []*source // as Files
	slots   *store.Map
}

// Snapshot reads the slot map first, to know the files, and once more in the snapshot.
func (d *Dir) Snapshot(ctx context.Context) (store.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, snapshotWait)
	defer cancel()
	for {
		s := &snapshot{}
		err := s.open(ctx, d.path)
		if err == nil {
			return s, nil
		}
		err = errors.Join(err, s.Close())
		if !errors.Is(err, errMapChanged) {
			return nil, err
		}
	}
}

var errMapChanged = errors.New("the slot map was changed meanwhile")

func (s *snapshot) open(ctx context.Context, dir string) error {
	control, err := openSource(ctx, dir, ControlFile)
	if err != nil {
		return err
	}
	s.sources = []*source{control}
	if s.slots, err = control.slotMap(); err != nil {
		return err
	}
	for _, name := range s.slots.Shards {
		shard, err := openSource(ctx, dir, name)
		if err != nil {
			return err
		}
		s.sources = append(s.sources, shard)
	}
	if err := s.begin(ctx); err != nil {
		return err
	}
	now, err := control.slotMap()
	if err == nil && now.Version != s.slots.Version {
		err = errMapChanged
	}
	if err != nil {
		return err
	}
	s.sources = append(s.sources[1:], control)
	for _, f := range s.sources {
		if err := f.describe(f != control); err != nil {
			return err
		}
	}
	return nil
}

func openSource(ctx context.Context, dir, name string) (*source, error) {
	f := &source{name: name, path: filepath.Join(dir, name)}
	st, err := os.Stat(f.path)
	if err == nil && st.Size() == 0 {
		err = errors.New("the file is empty")
	}
	if err != nil {
		return nil, missing("snapshot", f.path, err)
	}
	if err := checkHeader(f.path); err != nil {
		return nil, f.fail(err)
	}
	log := slog.New(slog.DiscardHandler)
	for _, c := range []struct {
		w    **writer
		wait string
	}{{&f.gate, "0"}, {&f.read, "5000"}} {
		dsn, err := dataSource(f.path, url.Values{"_busy_timeout": {c.wait}, "_pragma": {"cache_size(-2000)"}})
		if err != nil {
			return nil, err
		}
		w := &writer{dsn: dsn, log: log}
		if err := w.connect(ctx); err != nil {
			return nil, errors.Join(f.fail(err), f.close())
		}
		*c.w = w
	}
	return f, nil
}

// begin opens the read transactions at one instant.
func (s *snapshot) begin(ctx context.Context) error {
	for {
		locked, err := s.lockAll(ctx)
		if err == nil && locked == len(s.sources) {
			err = s.pin()
		} else if err == nil {
			err = errHeldTooLong
		}
		for _, f := range s.sources[:locked] {
			if _, e := f.gate.exec("ROLLBACK"); e != nil {
				err = errors.Join(err, f.fail(e))
			}
		}
		if !errors.Is(err, errHeldTooLong) {
			return err
		}
		if err := pause(ctx, 2*snapshotHold); err != nil {
			return err
		}
	}
}

var errHeldTooLong = errors.New("the files were not all free in time")

// lockAll takes the write locks, one file after the other, and returns how many it has
// taken: fewer than all if commits would be held up for too long.
func (s *snapshot) lockAll(ctx context.Context) (locked int, err error) {
	var end time.Time // set with the first lock
	for i, f := range s.sources {
		for {
			_, err := f.gate.exec("BEGIN IMMEDIATE")
			if err == nil {
				break
			}
			if resultCode(err)&0xff != sqlite3.SQLITE_BUSY {
				return i, f.fail(err)
			}
			if i > 0 && time.Now().After(end) {
				return i, nil
			}
			if err := pause(ctx, snapshotPoll); err != nil {
				return i, err
			}
		}
		if i == 0 {
			end = time.Now().Add(snapshotHold)
		}
	}
	return len(s.sources), nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return chat.Wrap(chat.Unavailable, "sqlite.snapshot", errors.Join(errors.New("the databases are too busy"), ctx.Err()))
	}
}

// pin begins the read transactions. One begins with its first read.
func (s *snapshot) pin() error {
	for _, f := range s.sources {
		if _, err := f.read.exec("BEGIN"); err != nil {
			return f.fail(err)
		}
		var n int64
		if err := f.read.row("SELECT count(*) FROM sqlite_schema", func(s scanner) error { return s.Scan(&n) }); err != nil {
			return f.fail(err)
		}
	}
	return nil
}

func (s *snapshot) Map() *store.Map { return s.slots }

func (s *snapshot) Files() []store.SnapshotFile {
	var out []store.SnapshotFile
	for _, f := range s.sources {
		out = append(out, f.info)
	}
	return out
}

// Close ends the read transactions with their connections.
func (s *snapshot) Close() error {
	var errs []error
	for _, f := range s.sources {
		errs = append(errs, f.close())
	}
	s.sources = nil
	return errors.Join(errs...)
}

func (s *snapshot) source(name string) (*source, error) {
	i := slices.IndexFunc(s.sources, func(f *source) bool { return f.name == name })
	if i < 0 {
		return nil, notFound("snapshot", name)
	}
	return s.sources[i], nil
}

// slotMap is Control.Map on the connection that reads.
func (f *source) slotMap() (*store.Map, error) {
	var version int64
	var raw []byte
	err := f.read.row(newestMap, func(s scanner) error { return s.Scan(&version, &raw) })
	if errors.Is(err, sql.ErrNoRows) {
		return nil, missing("snapshot", f.path, errors.New("there is no slot map: the node has never started"))
	}
	var m *store.Map
	if err == nil {
		m, err = store.DecodeMap(version, raw)
	}
	if err != nil {
		return nil, f.fail(err)
	}
	return m, nil
}

// describe fills info.
func (f *source) describe(shard bool) error {
	f.info = store.SnapshotFile{Name: f.name}
	err := f.read.row("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", func(s scanner) error {
		return s.Scan(&f.info.Bytes)
	})
	if err == nil {
		err = f.read.row("SELECT max(version_id) FROM goose_db_version", func(s scanner) error { return s.Scan(&f.info.Schema) })
	}
	if err == nil && shard {
		f.info.Lanes = map[store.LaneID]store.Position{}
		err = f.read.each("SELECT lane, epoch, position FROM lanes", func(s scanner) error {
			var lane int
			var at store.Position
			err := s.Scan(&lane, &at.Epoch, &at.N)
			f.info.Lanes[store.LaneID(lane)] = at
			return err
		})
	}
	return f.fail(err)
}

func (f *source) close() error {
	var errs []error
	for _, w := range []*writer{f.gate, f.read} {
		if w != nil {
			errs = append(errs, w.close())
		}
	}
	return errors.Join(errs...)
}

func (f *source) fail(err error) error {
	if err == nil {
		return nil
	}
	return chat.Wrap(kindOf(err), "sqlite.snapshot", &fileError{f.path, err})
}
