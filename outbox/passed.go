package outbox

import (
	"context"
	"time"

	"github.com/roomtide/roomtide/store"
)

// The entries of a slot that has moved are in two outboxes. A consumer that relies on the order
// of a room divides its work so that rooms of slots that have come (store.Flip) have targets
// of their own, and gives each of these a part that is done when Flip.Passed says so: then the
// same consumer has worked on all that the other shard had for them.

// How often it is looked whether the consumer is so far.
const (
	minLook = 50 * time.Millisecond
	maxLook = 5 * time.Second
)

// Flip waits for a consumer in the shard that slots have left. Several parts may share it. Safe
// for concurrent use.
type Flip struct {
	// Set once.
	store    *store.Store
	consumer string
	flip     store.Flip

	looking chan struct{} // cap 1: holds the right to look

	// Owned by the holder of the right to look.
	passed bool
	pause  time.Duration
	next   time.Time
}

// NewFlip returns one for slots that have come from another shard.
func NewFlip(st *store.Store, consumer string, f store.Flip) *Flip {
	return &Flip{store: st, consumer: consumer, flip: f, looking: make(chan struct{}, 1)}
}

// Passed returns nil when the consumer has worked on all that the other shard has for the
// slots; Later as long as it has not.
func (f *Flip) Passed(ctx context.Context) (err error) {
	select {
	case f.looking <- struct{}{}:
		defer func() { <-f.looking }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if f.passed {
		return nil
	}
	if wait := time.Until(f.next); wait > 0 {
		return Later{wait}
	}
	if f.passed, err = f.look(ctx); f.passed || err != nil {
		return err
	}
	f.pause = min(max(minLook, 2*f.pause), maxLook)
	f.next = time.Now().Add(f.pause)
	return Later{f.pause}
}

// look reads the cursor of the consumer in the shard that the slots have left. One that is not there
// yet is that of a consumer that was added a moment ago.
func (f *Flip) look(ctx context.Context) (bool, error) {
	from, ok := f.store.ShardNamed(f.flip.From)
	if !ok {
		return true, nil // the shard is no more, and nothing comes from it
	}
	cursors, err := f.store.Shards()[from].Cursors(ctx, theLane)
	for _, c := range cursors {
		if c.Consumer == f.consumer {
			return c.Position >= f.flip.Position, err
		}
	}
	return false, err
}
