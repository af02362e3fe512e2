package limit

import (
	"context"
	"math/rand/v2"
	"sync"

	"github.com/roomtide/roomtide/chat"
)

// Keyed is a semaphore with a bounded queue for each key: Permits callers of a key
// work, MaxWaiting wait in the order they came, and further ones are rejected with
// Busy. A key without callers costs nothing. Safe for concurrent use.
type Keyed[K comparable] struct {
	// Set once.
	text                string
	permits, maxWaiting int

	mu   sync.Mutex
	keys map[K]*keyPermits // guarded by mu
}

// keyPermits is one key with callers.
type keyPermits struct {
	running int
	waiting []chan struct{} // closed when its caller has a permit
}

// NewKeyed returns a Keyed. text is what a rejected caller is told.
func NewKeyed[K comparable](permits, maxWaiting int, text string) *Keyed[K] {
	return &Keyed[K]{text: text, permits: permits, maxWaiting: maxWaiting, keys: map[K]*keyPermits{}}
}

// Acquire waits for a permit of the key. A caller that gets no error must Release it.
// The error is Busy when too many wait already, and Unavailable when ctx ended
// first.
func (l *Keyed[K]) Acquire(ctx context.Context, key K) error {
	l.mu.Lock()
	s := l.keys[key]
	switch {
	case s == nil:
		l.keys[key] = &keyPermits{running: 1}
		l.mu.Unlock()
		return nil
	case s.running < l.permits:
		s.running++
		l.mu.Unlock()
		return nil
	case len(s.waiting) >= l.maxWaiting:
		l.mu.Unlock()
		return &chat.Error{Kind: chat.Busy, Op: "limit.keyed", Text: l.text, RetryAfter: retryMin + rand.Int64N(retrySpread)}
	}
	turn := make(chan struct{})
	s.waiting = append(s.waiting, turn)
	l.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		l.giveUp(key, turn)
		return chat.Wrap(chat.Unavailable, "limit.keyed", ctx.Err())
	}
}

// giveUp ends a wait. The permit that it has got meanwhile, if any, goes on to the
// next.
func (l *Keyed[K]) giveUp(key K, turn chan struct{}) {
	l.mu.Lock()
	if s := l.keys[key]; s != nil {
		for i, w := range s.waiting {
			if w == turn {
				s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
				l.mu.Unlock()
				return
			}
		}
	}
	l.mu.Unlock()
	l.Release(key)
}

// Release gives a permit of the key back.
func (l *Keyed[K]) Release(key K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.keys[key]
	if len(s.waiting) > 0 {
		close(s.waiting[0])
		s.waiting = s.waiting[1:]
		return
	}
	if s.running--; s.running == 0 {
		delete(l.keys, key)
	}
}
