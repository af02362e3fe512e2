package server

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqlite"
)

// OpenControl opens the control database of a data dir whose node may be
// running. NotFound if there is none.
func OpenControl(ctx context.Context, cfg *config.Config) (store.Control, error) {
	path := filepath.Join(cfg.DataDir, sqlite.ControlFile)
	if _, err := os.Stat(path); err != nil {
		return nil, &chat.Error{Kind: chat.NotFound, Op: "server.control", Err: err,
			Text: "there is no " + path + " yet: start the server once, or name its --data-dir"}
	}
	return sqlite.OpenControl(ctx, path)
}

// Check verifies every database of a stopped node and returns what is wrong.
func Check(ctx context.Context, cfg *config.Config) (lines []string, err error) {
	st, err := openExisting(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return st.Check(ctx)
}

// Rebuild writes the users' side of every membership of a stopped node anew.
// progress is called now and then with the memberships seen so far.
func Rebuild(ctx context.Context, cfg *config.Config, progress func(done int)) (err error) {
	st, err := openExisting(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	ls, err := lane.Open(ctx, lane.Config{
		Store:   st,
		Publish: func(*bus.Batch) error { return nil }, // there are no clients
	})
	if err != nil {
		return err
	}
	defer ls.Close(ctx)
	return ls.Rebuild(ctx, progress)
}

// openExisting opens the shards of a data dir, and does not make one.
func openExisting(ctx context.Context, cfg *config.Config) (*store.Store, error) {
	c, err := OpenControl(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := c.Close(); err != nil {
		return nil, err
	}
	return sqlite.OpenDir(ctx, cfg.DataDir, cfg.Shards, slog.New(slog.DiscardHandler))
}
