package store

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// Shard is one shard as the rest of the program uses it: what Reader answers,
// and what the owner of its lane writes.
type Shard struct{ Reader }

// Acquire is Writer.Acquire.
func (s *Shard) Acquire(ctx context.Context, lane LaneID) (Position, error) {
	return ask(ctx, &s.Reader, "acquire", func(ctx context.Context) (Position, error) { return s.driver.Acquire(ctx, lane) })
}

// Lease is Writer.Lease.
func (s *Shard) Lease(ctx context.Context, lane LaneID, node string, life time.Duration) (Lease, error) {
	return ask(ctx, &s.Reader, "lease", func(ctx context.Context) (Lease, error) { return s.driver.Lease(ctx, lane, node, life) })
}

// Unlease is Writer.Unlease.
func (s *Shard) Unlease(ctx context.Context, lane LaneID, node string) error {
	return s.do(ctx, "unlease", func(ctx context.Context) error { return s.driver.Unlease(ctx, lane, node) })
}

// Taken is Writer.Taken.
func (s *Shard) Taken(ctx context.Context, lane LaneID) (Taken, error) {
	return ask(ctx, &s.Reader, "taken", func(ctx context.Context) (Taken, error) { return s.driver.Taken(ctx, lane) })
}

// Load is Writer.Load.
func (s *Shard) Load(ctx context.Context, need *Need) (*State, error) {
	return ask(ctx, &s.Reader, "load", func(ctx context.Context) (*State, error) { return s.driver.Load(ctx, need) })
}

// Commit is Writer.Commit.
func (s *Shard) Commit(ctx context.Context, lane LaneID, at Position, ch *Changes) error {
	return s.do(ctx, "commit", func(ctx context.Context) error { return s.driver.Commit(ctx, lane, at, ch) })
}

// caller makes the calls to one database: it gives each a deadline, counts and
// times it, and makes its error a *chat.Error.
type caller struct {
	// Set once.
	name    string // of the database, in metrics and errors
	metrics *metrics
	bounds  *Bounds

	unheard atomic.Pointer[unheard] // nil: the last call was answered
}

// unheard is a call that the database has not answered.
type unheard struct {
	at  time.Time
	err error
}

// unheardFor is how long Unreachable goes by a call that was not answered.
const unheardFor = 15 * time.Second

// Unreachable is the error of the last call if the database has not answered it, nil if
// it has, whatever the answer was, or if the call was long ago: it is for databases that
// are asked all the time.
func (c *caller) Unreachable() error {
	if u := c.unheard.Load(); u != nil && time.Since(u.at) < unheardFor {
		return u.err
	}
	return nil
}

// heard notes what came of a call: nil if it was answered.
func (c *caller) heard(err error) {
	if err != nil {
		c.unheard.Store(&unheard{time.Now(), err})
	} else if c.unheard.Load() != nil {
		c.unheard.Store(nil)
	}
}

// do makes one call that ends by itself or when its deadline has passed.
func (c *caller) do(ctx context.Context, op string, call func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, c.bounds.of(op))
	defer cancel()
	return c.unbounded(bounded, op, call)
}

// unbounded is do for a call that may take as long as ctx allows.
func (c *caller) unbounded(ctx context.Context, op string, call func(context.Context) error) error {
	start := time.Now()
	err := call(ctx)
	c.metrics.called(op, c.name, time.Since(start))
	if err == nil {
		c.heard(nil)
		return nil
	}
	e := c.wrap(ctx, op, err)
	if errors.Is(ctx.Err(), context.Canceled) { // the caller's own doing
		return e
	}
	if e.Kind == chat.Unavailable {
		c.heard(e)
	} else {
		c.heard(nil)
	}
	if e.Kind != chat.NotFound {
		c.metrics.failed(op, c.name, e.Kind)
	}
	return e
}

// wrap makes err the error of a call. What the driver says for the asker stays.
func (c *caller) wrap(ctx context.Context, op string, err error) *chat.Error {
	e := &chat.Error{Op: "store." + op, Subject: c.name, Err: err}
	var own *chat.Error
	switch {
	case errors.As(err, &own):
		e.Kind, e.Text, e.RetryAfter = own.Kind, own.Text, own.RetryAfter
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		e.Kind = chat.Unavailable
	default:
		e.Kind = chat.Internal
	}
	return e
}

// ask is Reader.do for a call that answers something.
func ask[T any](ctx context.Context, r *Reader, op string, call func(context.Context) (T, error)) (answer T, err error) {
	err = r.do(ctx, op, func(ctx context.Context) (err error) {
		answer, err = call(ctx)
		return err
	})
	return answer, err
}
