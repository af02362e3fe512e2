package follow

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// together is several followers of one table as one. Each waits in a goroutine of its
// own, and goes on when what it has returned was applied: nothing is queued.
type together struct {
	// Set once.
	all     map[string]Follower
	results chan result
	resume  map[string]chan struct{}
	stop    context.CancelFunc
	stopped context.Context
	ended   sync.WaitGroup
	release func() error // what they share

	// Owned by the caller of Next.
	last      string // the follower whose result was returned last, "" if none waits
	positions map[string]string
}

type result struct {
	name     string
	keys     []source.Key
	position string
	err      error
}

func newTogether(all map[string]Follower, positions map[string]string, release func() error) *together {
	t := &together{all: all, release: release, results: make(chan result), resume: map[string]chan struct{}{}, positions: maps.Clone(positions)}
	t.stopped, t.stop = context.WithCancel(context.Background())
	for name, f := range all {
		resume := make(chan struct{})
		t.resume[name] = resume
		t.ended.Go(func() { t.wait(name, f, resume) })
	}
	return t
}

// wait asks one follower, and hands on what it returns.
func (t *together) wait(name string, f Follower, resume <-chan struct{}) {
	for {
		r := result{name: name}
		r.keys, r.position, r.err = f.Next(t.stopped)
		select {
		case t.results <- r:
		case <-t.stopped.Done():
			return
		}
		select {
		case <-resume:
		case <-t.stopped.Done():
			return
		}
	}
}

func (t *together) Next(ctx context.Context) ([]source.Key, string, error) {
	if t.last != "" {
		select {
		case t.resume[t.last] <- struct{}{}:
			t.last = ""
		case <-t.stopped.Done():
			return nil, "", errClosed()
		}
	}
	select {
	case r := <-t.results:
		t.last = r.name
		if r.err != nil {
			return nil, "", r.err
		}
		if r.position != "" {
			t.positions[r.name] = r.position
		}
		return r.keys, encodePositions(t.positions), nil
	case <-t.stopped.Done():
		return nil, "", errClosed()
	case <-ctx.Done():
		return nil, "", fail("next", "", ctx.Err())
	}
}

func errClosed() error { return chat.E(chat.Unavailable, "the follower is closed") }

// Lag is that of the follower which is furthest behind.
func (t *together) Lag() (lag time.Duration) {
	for _, f := range t.all {
		lag = max(lag, f.Lag())
	}
	return lag
}

func (t *together) Close() (err error) {
	t.stop()
	t.ended.Wait()
	for _, f := range t.all {
		err = errors.Join(err, f.Close())
	}
	return errors.Join(err, t.release())
}
