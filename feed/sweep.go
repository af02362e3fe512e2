package feed

import (
	"context"
	"slices"
	"time"

	"github.com/roomtide/roomtide/store"
)

// unread is since when a feed has something to read and was not acknowledged.
type unread struct {
	at    string
	since time.Time
}

// sweep drops feeds that are not read. Each node watches all of them, from its start on.
func (f *Feeds) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for seen := map[string]unread{}; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := f.sweepOnce(ctx, seen); err != nil && ctx.Err() == nil {
				f.cfg.Log.Warn("feeds that are not read could not be looked for", "err", err)
			}
		}
	}
}

func (f *Feeds) sweepOnce(ctx context.Context, seen map[string]unread) error {
	all, err := f.cursors(ctx)
	if err != nil {
		return err
	}
	for name := range seen {
		if _, there := all[name]; !there {
			delete(seen, name)
		}
	}
	for name, is := range all {
		at := is.at
		waits, err := f.waits(ctx, at)
		if err != nil {
			return err
		}
		was, now := seen[name], f.cfg.Now()
		switch {
		case !waits:
			delete(seen, name)
		case was.at != at.String():
			seen[name] = unread{at.String(), now}
		case now.Sub(was.since) >= Keep:
			if err := f.Drop(ctx, name); err != nil {
				return err
			}
			delete(seen, name)
			f.cfg.Log.Warn("a feed was dropped: nobody has read it for a week", "feed", name)
		}
	}
	return nil
}

// Attended reports whether there is a feed with the users who come and go. On a node that has not
// made it, it may be some seconds old.
func (f *Feeds) Attended() bool { return f.attended.Load() }

// attend keeps what Attended reports. First it has all feeds go on in shards that were added: a
// node has to be started to know of them.
func (f *Feeds) attend(ctx context.Context) {
	tick := time.NewTicker(attendEvery)
	defer tick.Stop()
	for complete := false; ; {
		f.look(ctx)
		if !complete {
			err := f.completeAll(ctx)
			if complete = err == nil; err != nil && ctx.Err() == nil {
				f.cfg.Log.Warn("feeds could not be looked up in all shards, which is tried again", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look asks one shard, as each has the cursors of all feeds. While none answers, nothing is changed.
func (f *Feeds) look(ctx context.Context) {
	for _, s := range f.cfg.Store.Shards() {
		cursors, err := s.Cursors(ctx, theLane)
		if err != nil {
			f.cfg.Log.Debug("feed: a shard does not say which feeds there are", "err", err)
			continue
		}
		f.attended.Store(slices.ContainsFunc(cursors, func(c store.Cursor) bool {
			_, users, ok := feedOf(c.Consumer)
			return ok && users
		}))
		return
	}
}

// waits reports whether there is an entry behind the place.
func (f *Feeds) waits(ctx context.Context, at place) (bool, error) {
	for shard, s := range f.cfg.Store.Shards() {
		entries, err := s.Outbox(ctx, theLane, at[shard], 1)
		if err != nil || len(entries) > 0 {
			return len(entries) > 0, err
		}
	}
	return false, nil
}
