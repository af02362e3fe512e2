package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqlite"
)

// movedSuffix is what the file of a control database is called when another place has its
// contents.
const movedSuffix = ".moved"

// ControlMoved tells where a control database is and was.
type ControlMoved struct {
	Name  string // of the database that has it
	File  string // which nothing reads any more
	Shard bool   // nodes find it by themselves, in one of their shards; otherwise their settings have to name it
}

// MoveControl moves the control database of a stopped node from its file to the database that
// to names, a shard or a DSN. Whatever ends it, one of the two has all of it, and it can be
// called again.
func MoveControl(ctx context.Context, cfg *config.Config, to string) (moved *ControlMoved, err error) {
	dbs, err := newDatabases(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	aim := *cfg
	aim.Control = to
	target, err := aim.ControlDatabase()
	switch {
	case err != nil:
		return nil, err
	case target == nil || target.Engine == config.SQLite:
		return nil, chat.E(chat.Invalid, "a control database is moved to MySQL, MariaDB or PostgreSQL: name a shard that is one, or a DSN")
	case dbs.control != nil && dbs.control.Engine != config.SQLite, !dbs.exists(sqlite.ControlFile):
		return nil, chat.E(chat.NotFound, "there is no "+sqlite.ControlFile+" in "+cfg.DataDir+" that is in use: the control database is in a database already, or the data dir is another one")
	}
	if err := dbs.Lock(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dbs.Close()) }()
	if err := dbs.copyControl(ctx, target); err != nil {
		return nil, err
	}
	file := filepath.Join(cfg.DataDir, sqlite.ControlFile)
	moved = &ControlMoved{Name: target.Name, File: file + movedSuffix, Shard: dbs.byName[target.Name].Name != ""}
	if err := os.Rename(file, moved.File); err != nil {
		return nil, chat.Wrap(chat.Internal, "server.move_control", err)
	}
	return moved, nil
}

// copyControl copies the control database of the data directory to the target.
func (d *databases) copyControl(ctx context.Context, target *config.Database) (err error) {
	from, err := store.OpenControl(ctx, d)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	d.logs[target.Server()] = slog.New(slog.DiscardHandler)
	to, err := d.networkControl(ctx, target, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if err := store.CopyControl(ctx, from, to); err != nil {
		return &chat.Error{Kind: chat.KindOf(err), Op: "server.move_control", Subject: target.Name, Err: err,
			Text: fmt.Sprintf("the control database was not moved to %s: %s", target.Name, chat.Public(err).Text)}
	}
	return nil
}
