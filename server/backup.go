package server

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/roomtide/roomtide/backup"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqlite"
)

// errOwnTools answers for databases that are no files of the node.
var errOwnTools = chat.E(chat.Invalid, "databases on a server are backed up and put back with its own tools: "+
	"docs/operations.md, \"Backup and restore\", says how; then \"roomtide restore --mark\" makes it safe for clients to go on")

// Backup writes the databases and keys of a node, which may be running, to the target
// (backup.Write). What else the job says is filled in.
func Backup(ctx context.Context, cfg *config.Config, target string, job backup.Job) (_ *backup.Manifest, err error) {
	dbs, err := newDatabases(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	from, ok := dbs.snapshotter()
	if !ok {
		return nil, errOwnTools
	}
	for _, o := range []backup.Other{
		{Name: config.TokenKeyName, Kind: backup.Key},
		{Name: config.WebPushKeyName, Kind: backup.Key}, // what browsers have subscribed to is worthless without it
		{Name: config.FileName, Kind: backup.Settings},
	} {
		var err error
		if o.Text, err = os.ReadFile(filepath.Join(cfg.DataDir, o.Name)); err == nil {
			job.Others = append(job.Others, o)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, chat.Wrap(chat.Unavailable, "server.backup", err)
		}
	}
	job.Taken = time.Now() // what was committed until now is in the snapshot
	job.Snapshot, err = from.Snapshot(ctx)
	if err != nil {
		return nil, dbs.noData(err)
	}
	defer func() { err = errors.Join(err, job.Snapshot.Close()) }()
	if job.Snapshot.Map().Rising != 0 {
		return nil, chat.E(chat.Unavailable, "putting these databases back was interrupted: run \"roomtide restore --mark\" first")
	}
	return backup.Write(ctx, target, job)
}

// Restore puts a backup back as the data directory of cfg (backup.Restore), with the
// revs of all rooms moved on (store.Store.Rebase), and returns what is wrong with the
// data.
func Restore(ctx context.Context, cfg *config.Config, path string, progress func(backup.Progress)) (m *backup.Manifest, wrong []string, err error) {
	m, err = backup.Restore(ctx, path, cfg.DataDir, sqlite.ControlFile, progress, func(_ *backup.Manifest, dir string) (err error) {
		st, err := store.Open(ctx, sqlite.NewDir(dir, 1, slog.New(slog.DiscardHandler)), nil)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, st.Close()) }()
		if err := st.Rebase(ctx, store.BaseAt(time.Now())); err != nil {
			return err
		}
		wrong, err = st.Check(ctx)
		return err
	})
	return m, wrong, err
}

// Rebase moves the revs of all rooms on, in databases of a stopped node that were put
// back with other tools.
func Rebase(ctx context.Context, cfg *config.Config) (err error) {
	st, err := openExisting(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return st.Rebase(ctx, store.BaseAt(time.Now()))
}
