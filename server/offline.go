package server

import (
	"context"
	"errors"
	"log/slog"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/projection"
	"github.com/roomtide/roomtide/store"
)

// OpenControl opens the control database of a node that may be running. NotFound
// if there is none.
func OpenControl(ctx context.Context, cfg *config.Config) (store.Control, error) {
	c, err := store.OpenControl(ctx, databases(cfg, slog.New(slog.DiscardHandler)))
	if chat.KindOf(err) == chat.NotFound {
		return nil, &chat.Error{Kind: chat.NotFound, Op: "server.control", Err: err,
			Text: "there is no database in " + cfg.DataDir + " yet: start the server once, or name its --data-dir"}
	}
	return c, err
}

// Examine tells how the databases of a node are, which may be running, and changes
// nothing.
func Examine(ctx context.Context, cfg *config.Config) []store.Examined {
	return store.Examine(ctx, databases(cfg, slog.New(slog.DiscardHandler)))
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
	return withLanes(ctx, cfg, func(st *store.Store, ls *lane.Lanes) error {
		return projection.Rebuild(ctx, st, ls, progress)
	})
}

// EndTokens ends every token of a user of a stopped node (engine.Engine.EndTokens).
func EndTokens(ctx context.Context, cfg *config.Config, user chat.UserID) (notBefore int64, err error) {
	err = withLanes(ctx, cfg, func(st *store.Store, ls *lane.Lanes) error {
		notBefore, err = engine.New(engine.Config{Store: st, Lanes: ls}).EndTokens(ctx, user)
		return err
	})
	return notBefore, err
}

// withLanes runs f with the databases of a stopped node and their lanes.
func withLanes(ctx context.Context, cfg *config.Config, f func(*store.Store, *lane.Lanes) error) (err error) {
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
	defer ls.Close()
	return f(st, ls)
}

// openExisting opens the databases of a stopped node, and does not make any.
func openExisting(ctx context.Context, cfg *config.Config) (*store.Store, error) {
	c, err := OpenControl(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := c.Close(); err != nil {
		return nil, err
	}
	return store.Open(ctx, databases(cfg, slog.New(slog.DiscardHandler)), nil)
}
