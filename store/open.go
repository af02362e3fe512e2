package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/roomtide/roomtide/chat"
)

// An Opener knows where the databases of one deployment are, and opens them by
// name. Errors are as those of Driver.
type Opener interface {
	// Names returns the names that the shards get at the first start. Afterwards
	// the stored slot map says which shards there are.
	Names() []string

	// Lock keeps other servers from using the databases until Close. It comes
	// before everything else, except for tools, which do not lock. Unavailable if
	// another server holds the lock.
	Lock(ctx context.Context) error

	// OpenControl opens the control database and brings its schema up to date.
	// If it is missing it is made with create, and NotFound without.
	OpenControl(ctx context.Context, create bool) (Control, error)

	// OpenShard opens a shard and brings its schema up to date. If it is missing
	// or was never filled it is made with create, and NotFound without. Safe for
	// concurrent use.
	OpenShard(ctx context.Context, name string, create bool) (Driver, error)

	// Close gives the lock back, if it was taken. All that was opened has been
	// closed.
	Close() error
}

// Open opens all databases for the one server that may use them. At the first
// start it makes the shards and saves the slot map when they are there; from then
// on a missing shard is an error, and never quietly replaced by an empty one.
// Closing the Store closes the Opener. reg may be nil.
func Open(ctx context.Context, o Opener, reg prometheus.Registerer) (_ *Store, err error) {
	names := o.Names()
	if len(names) < 1 || len(names) > chat.Slots {
		return nil, chat.E(chat.Invalid, fmt.Sprintf("the number of shards must be between 1 and %d", chat.Slots))
	}
	var undo closers
	defer func() {
		if err != nil {
			err = undo.closeAfter(err)
		}
	}()
	undo = closers{o.Close}
	if err := o.Lock(ctx); err != nil {
		return nil, err
	}
	c, err := o.OpenControl(ctx, true)
	if err != nil {
		return nil, err
	}
	undo = append(undo, c.Close)
	m, err := c.Map(ctx)
	first := err != nil && chat.KindOf(err) == chat.NotFound
	if first {
		m = NewMap(names)
	} else if err != nil {
		return nil, err
	}
	shards, err := openShards(ctx, o, m.Shards, first, &undo)
	if err != nil {
		return nil, err
	}
	if first {
		if err := c.SaveMap(ctx, m); err != nil {
			return nil, err
		}
	}
	s, err := New(m, shards, c, reg)
	if err != nil {
		return nil, err
	}
	s.opener = o
	return s, nil
}

// openShards opens the shards at the same time. Those that were opened are in
// undo, also after an error.
func openShards(ctx context.Context, o Opener, names []string, first bool, undo *closers) ([]Driver, error) {
	shards := make([]Driver, len(names))
	var g errgroup.Group
	for i, name := range names {
		g.Go(func() (err error) {
			shards[i], err = openShard(ctx, o, name, first)
			return err
		})
	}
	err := g.Wait()
	for _, s := range shards {
		if s != nil {
			*undo = append(*undo, s.Close)
		}
	}
	return shards, err
}

// openShard opens one shard. At a first start there may be shards of an earlier
// first start that did not get to its end, but no rooms in them: rooms without a
// slot map mean that the control database was lost, and another map would hide
// them.
func openShard(ctx context.Context, o Opener, name string, first bool) (Driver, error) {
	fail := func(text string, err error) error {
		return &chat.Error{Kind: chat.Internal, Op: "store.open", Subject: name, Text: text, Err: err}
	}
	s, err := o.OpenShard(ctx, name, first)
	if err != nil {
		if chat.KindOf(err) == chat.NotFound {
			err = fail("the slot map names a shard that is missing or empty", err)
		}
		return nil, err
	}
	if !first {
		return s, nil
	}
	rooms, err := s.HasRooms(ctx)
	if err == nil && rooms {
		err = fail("the shard has rooms but the control database knows of no shard: put the right control database back", nil)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// OpenControl opens the control database for a tool, beside a server that may be
// running. NotFound if there is none. Closing it does not close the Opener.
func OpenControl(ctx context.Context, o Opener) (Control, error) {
	c, err := o.OpenControl(ctx, false)
	if err != nil {
		return nil, err
	}
	return newControl(c, newMetrics(nil)), nil
}

// closers are what to close, the last first.
type closers []func() error

// closeAfter closes everything because of err, and returns err with what failed
// meanwhile.
func (cs closers) closeAfter(err error) error {
	for i := len(cs) - 1; i >= 0; i-- {
		if e := cs[i](); e != nil {
			err = errors.Join(err, e)
		}
	}
	return err
}
