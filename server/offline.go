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
	dbs, err := newDatabases(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	c, err := store.OpenControl(ctx, dbs)
	if err != nil {
		return nil, dbs.noData(err)
	}
	return c, nil
}

// Examine tells how the databases of a node are, which may be running. Files stay as they
// are; databases over a network are opened to be looked at.
func Examine(ctx context.Context, cfg *config.Config) []store.Examined {
	dbs, err := newDatabases(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return []store.Examined{{Name: "control", Err: err}}
	}
	return store.Examine(ctx, dbs)
}

// Check verifies every database of a stopped node and returns the shards that it has
// looked at and what is wrong, each line with the shard it is about.
func Check(ctx context.Context, cfg *config.Config) (shards, lines []string, err error) {
	st, err := openExisting(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	for _, s := range st.Shards() {
		shards = append(shards, s.Name())
	}
	lines, err = st.Check(ctx)
	return shards, lines, err
}

// Rebuild writes the users' side of every membership of a stopped node anew.
// progress is called now and then with the shard and the memberships seen so far.
func Rebuild(ctx context.Context, cfg *config.Config, progress func(shard string, done int)) (err error) {
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

// WithStore runs f with the databases of a stopped node.
func WithStore(ctx context.Context, cfg *config.Config, f func(*store.Store) error) error {
	st, err := openExisting(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(f(st), st.Close())
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
	dbs, err := newDatabases(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return store.OpenStopped(ctx, dbs)
}
