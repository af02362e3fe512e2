package socketio

import "sync"

// serial runs functions one after the other: the handlers of one connection.
// The queue holds what ends or times out while a handler runs, so it is bounded
// by the sockets and the pending acks of the connection.
type serial struct {
	// Guarded by mu.
	mu    sync.Mutex
	busy  bool
	queue []func()
}

// wait runs f and returns when it has run. Not from inside a function that it runs.
func (q *serial) wait(f func()) {
	q.mu.Lock()
	if !q.busy {
		q.busy = true
		q.mu.Unlock()
		f()
		q.finish()
		return
	}
	done := make(chan struct{})
	q.queue = append(q.queue, func() { f(); close(done) })
	q.mu.Unlock()
	<-done
}

// do runs f on this goroutine, or leaves it to the one that runs a function now.
func (q *serial) do(f func()) {
	if q.begin(f) {
		f()
		q.finish()
	}
}

// later runs f on another goroutine: the caller may hold locks that f takes.
func (q *serial) later(f func()) {
	if q.begin(f) {
		go func() {
			f()
			q.finish()
		}()
	}
}

// begin makes the caller the one that runs, or queues f.
func (q *serial) begin(f func()) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy {
		q.queue = append(q.queue, f)
		return false
	}
	q.busy = true
	return true
}

// finish runs what was queued meanwhile.
func (q *serial) finish() {
	for {
		q.mu.Lock()
		if len(q.queue) == 0 {
			q.busy, q.queue = false, nil
			q.mu.Unlock()
			return
		}
		f := q.queue[0]
		q.queue = q.queue[1:]
		q.mu.Unlock()
		f()
	}
}
