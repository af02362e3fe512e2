package socketio

import "sync"

// turns runs functions one after the other: the handlers of one connection.
// The queue holds what ends or times out while a handler runs, so it is bounded
// by the sockets and the pending acks of the connection.
type turns struct {
	mu    sync.Mutex
	busy  bool
	queue []func()
}

// wait runs f and returns when it has run. Not from inside a turn.
func (t *turns) wait(f func()) {
	t.mu.Lock()
	if !t.busy {
		t.busy = true
		t.mu.Unlock()
		f()
		t.rest()
		return
	}
	done := make(chan struct{})
	t.queue = append(t.queue, func() { f(); close(done) })
	t.mu.Unlock()
	<-done
}

// do runs f on this goroutine, or leaves it to the goroutine that has the turn.
func (t *turns) do(f func()) {
	if t.take(f) {
		f()
		t.rest()
	}
}

// later runs f on another goroutine: the caller may hold locks that f wants.
func (t *turns) later(f func()) {
	if t.take(f) {
		go func() {
			f()
			t.rest()
		}()
	}
}

// take takes the turn, or queues f.
func (t *turns) take(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy {
		t.queue = append(t.queue, f)
		return false
	}
	t.busy = true
	return true
}

// rest runs what was queued and gives the turn back.
func (t *turns) rest() {
	for {
		t.mu.Lock()
		if len(t.queue) == 0 {
			t.busy, t.queue = false, nil
			t.mu.Unlock()
			return
		}
		f := t.queue[0]
		t.queue = t.queue[1:]
		t.mu.Unlock()
		f()
	}
}
