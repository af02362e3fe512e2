package webhook

import (
	"sync"
	"time"
)

// requests are those that are under way.
type requests struct {
	running sync.WaitGroup

	mu     sync.Mutex
	closed bool // guarded by mu
}

// begin reports whether a request may be made: then end follows.
func (r *requests) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.running.Add(1)
	return true
}

func (r *requests) end() { r.running.Done() }

// close lets no more begin, and returns when those under way have ended, or after most.
func (r *requests) close(most time.Duration) {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	ended := make(chan struct{})
	go func() { // as long as a request, at most
		r.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(most):
	}
}
