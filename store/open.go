package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/roomtide/roomtide/chat"
)

// An Opener knows where the databases of one deployment are, and opens them by
// name. Errors are as those of Driver.
type Opener interface {
	// Names returns the shards that the deployment gets at its first start (first),
	// or those that it is to have besides those that the stored slot map names.
	Names(first bool) []string

	// Lock keeps other servers from using the databases until Close. It comes
	// before everything else, except for tools, which do not lock. Unavailable if
	// another server holds the lock.
	Lock(ctx context.Context) error

	// OpenControl opens the control database and brings its schema up to date.
	// If it is missing it is made with create, and NotFound without.
	OpenControl(ctx context.Context, create bool) (Control, error)

	// OpenShard opens a shard and brings its schema up to date. If it is missing
	// or was never filled it is made with create, and NotFound without. It is called
	// after OpenControl. Safe for concurrent use.
	OpenShard(ctx context.Context, name string, create bool) (Driver, error)

	// Close gives the lock back, if it was taken. All that was opened has been
	// closed.
	Close() error
}

// Open opens all databases for the one server that may use them. At the first
// start it makes the shards and saves the slot map when they are there; from then
// on a missing shard is an error, and never quietly replaced by an empty one.
// Shards that the map does not name yet are added to it as owners of nothing; those
// that own nothing and are not to be found any more are taken out of it.
// Closing the Store closes the Opener. reg may be nil.
func Open(ctx context.Context, o Opener, reg prometheus.Registerer) (*Store, error) {
	if n := len(o.Names(true)); n < 1 || n > chat.Slots {
		return nil, chat.E(chat.Invalid, fmt.Sprintf("the number of shards must be between 1 and %d", chat.Slots))
	}
	p := &opening{Opener: o, serve: true}
	return p.open(ctx, reg)
}

// OpenStopped opens all databases of a server that does not run, for a tool. It
// makes nothing and leaves the slot map as it is. NotFound if there is no control
// database or no map in it.
func OpenStopped(ctx context.Context, o Opener) (*Store, error) {
	p := &opening{Opener: o}
	return p.open(ctx, nil)
}

// opening is one run of Open or OpenStopped.
type opening struct {
	Opener
	serve bool // may make shards and change the map
	first bool // there is no map yet
	stale *Map // the stored map; nil at a first start
	undo  closers
}

func (p *opening) open(ctx context.Context, reg prometheus.Registerer) (_ *Store, err error) {
	defer func() {
		if err != nil {
			err = p.undo.closeAfter(err)
		}
	}()
	p.undo = closers{p.Close}
	if err := p.Lock(ctx); err != nil {
		return nil, err
	}
	c, err := p.OpenControl(ctx, p.serve)
	if err != nil {
		return nil, err
	}
	p.undo = append(p.undo, c.Close)
	m, err := p.plan(ctx, c)
	if err != nil {
		return nil, err
	}
	m, shards, err := p.shards(ctx, m)
	if err != nil {
		return nil, err
	}
	if m, err = p.save(ctx, c, m); err != nil {
		return nil, err
	}
	s, err := New(m, shards, c, reg)
	if err != nil {
		return nil, err
	}
	s.opener = p.Opener
	return s, nil
}

// plan returns the map with every shard that there is to be.
func (p *opening) plan(ctx context.Context, c Control) (*Map, error) {
	m, err := c.Map(ctx)
	switch {
	case err == nil && p.serve:
		p.stale = m
		return m.With(p.Names(false)), nil
	case err == nil:
		p.stale = m
		return m, nil
	case chat.KindOf(err) == chat.NotFound && p.serve:
		p.first = true
		return NewMap(p.Names(true)), nil
	}
	return nil, err
}

// save stores the map if it is another one than the stored one, and returns the one that
// is stored then. Nodes that share the databases may start together: where another has
// stored a map of the same shards meanwhile, that one is it.
func (p *opening) save(ctx context.Context, c Control, m *Map) (*Map, error) {
	if !p.first {
		if !p.serve || slices.Equal(m.Shards, p.stale.Shards) {
			return m, nil
		}
		m.Version++
	}
	err := c.SaveMap(ctx, m)
	if chat.KindOf(err) == chat.Conflict {
		if now, e := c.Map(ctx); e == nil && slices.Equal(now.Shards, m.Shards) {
			return now, nil
		}
	}
	return m, err
}

// shards opens the shards of the map at the same time, and returns the map without
// those that are gone. Those that were opened are in undo, also after an error, which
// is about all shards that could not be opened.
func (p *opening) shards(ctx context.Context, m *Map) (*Map, []Driver, error) {
	opened, errs := make([]Driver, len(m.Shards)), make([]error, len(m.Shards))
	slots := m.Slots()
	var wg sync.WaitGroup
	for i, name := range m.Shards {
		wg.Go(func() { opened[i], errs[i] = p.shard(ctx, name, slots[i] > 0) })
	}
	wg.Wait()
	var shards []Driver
	var gone []string
	for i, s := range opened {
		if s == nil {
			gone = append(gone, m.Shards[i])
			continue
		}
		p.undo = append(p.undo, s.Close)
		shards = append(shards, s)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	return m.Without(gone), shards, nil
}

// shard opens one shard, and returns nil for one that owns nothing and is gone.
// At a first start there may be shards of an earlier first start that did not get to
// its end, but no rooms in them: rooms without a slot map mean that the control
// database was lost, and another map would hide them. The same goes for a shard that
// the map does not name.
func (p *opening) shard(ctx context.Context, name string, owns bool) (Driver, error) {
	fail := func(text string, err error) error {
		return &chat.Error{Kind: chat.Internal, Op: "store.open", Subject: name, Text: text, Err: err}
	}
	create := p.first || p.serve && !owns && slices.Contains(p.Names(false), name)
	s, err := p.OpenShard(ctx, name, create)
	switch {
	case err == nil:
	case create, chat.KindOf(err) != chat.NotFound:
		return nil, err
	case owns:
		text := "the slot map names the shard " + name + ", which is missing or empty"
		if own := (*chat.Error)(nil); errors.As(err, &own) && own.Text != "" {
			text += ": " + own.Text
			err = own.Err
		}
		return nil, fail(text, err)
	default:
		return nil, nil
	}
	if !p.first && slices.Contains(p.stale.Shards, name) {
		return s, nil
	}
	rooms, err := s.HasRooms(ctx)
	if err == nil && rooms && p.first {
		err = fail("the shard "+name+" has rooms but the control database knows of no shard: put the right control database back", nil)
	} else if err == nil && rooms {
		err = fail("the shard "+name+" has rooms but the slot map does not name it: put the right control database back, or take the shard out of the settings, or empty it if its rooms are not wanted", nil)
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
	return newControl(c, newMetrics(nil), &Bounds{defaultCall, defaultSettle}), nil
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
