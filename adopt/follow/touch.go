package follow

import (
	"context"
	"sync"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// Touches are keys that others name as changed: the writing program calls after a
// write, so that the row does not wait for a poll. A touch that is lost is no loss, as another
// follower finds the change later. Any goroutine may call.
type Touches struct {
	ready chan struct{} // has an element while keys wait

	// Guarded by mu.
	mu      sync.Mutex
	keys    map[source.Key]struct{}
	refused int64
}

// mostTouches is how many keys wait at most.
const mostTouches = 100_000

// NewTouches returns touches without a key.
func NewTouches() *Touches {
	return &Touches{ready: make(chan struct{}, 1), keys: map[source.Key]struct{}{}}
}

// Add names keys. When too many wait it adds none of them, and the error is Busy.
func (t *Touches) Add(keys ...source.Key) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.keys)+len(keys) > mostTouches {
		t.refused += int64(len(keys))
		return &chat.Error{Kind: chat.Busy, Op: "follow.touch", Text: "too many touched rows wait to be read", RetryAfter: 1000}
	}
	for _, k := range keys {
		t.keys[k] = struct{}{}
	}
	t.wake()
	return nil
}

// Refused counts the keys that were not added.
func (t *Touches) Refused() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refused
}

// take waits for keys and takes up to a page of them.
func (t *Touches) take(ctx context.Context) ([]source.Key, error) {
	select {
	case <-t.ready:
	case <-ctx.Done():
		return nil, fail("next", "", ctx.Err())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var page []source.Key
	for k := range t.keys {
		if len(page) == pageRows {
			break
		}
		page = append(page, k)
		delete(t.keys, k)
	}
	t.wake()
	return page, nil
}

// wake says that keys wait, if any do. It is called with the lock.
func (t *Touches) wake() {
	if len(t.keys) == 0 {
		return
	}
	select {
	case t.ready <- struct{}{}:
	default:
	}
}

// toucher follows touches.
type toucher struct{ t *Touches }

func (f *toucher) Next(ctx context.Context) ([]source.Key, string, error) {
	keys, err := f.t.take(ctx)
	return keys, "", err
}

func (f *toucher) Lag() time.Duration { return 0 }

func (f *toucher) Close() error { return nil }
