package client

import (
	"context"
	"sync"
)

// queue is the events between the reader and the consumer. It is bounded by
// making the reader wait, except while a call waits for its answer: that would
// never be read if the consumer itself is the caller.
type queue struct {
	out chan Event // what the consumer reads
	max int        // set once

	mu     sync.Mutex
	moved  sync.Cond // something was put or taken, or calls or ended changed
	events []Event
	calls  int // calls that wait for an answer
	ended  bool
}

func newQueue(max int) *queue {
	q := &queue{out: make(chan Event), max: max}
	q.moved.L = &q.mu
	return q
}

// put appends ev and waits until there is room for another.
func (q *queue) put(ev Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.events = append(q.events, ev)
	q.moved.Broadcast()
	for len(q.events) >= q.max && q.calls == 0 && !q.ended {
		q.moved.Wait()
	}
}

// calling lets put go on without waiting until the returned func is called.
func (q *queue) calling() (done func()) {
	add := func(n int) {
		q.mu.Lock()
		q.calls += n
		q.mu.Unlock()
		q.moved.Broadcast()
	}
	add(1)
	return func() { add(-1) }
}

// end lets the pump close the channel once it has passed on what waits.
func (q *queue) end() {
	q.mu.Lock()
	q.ended = true
	q.mu.Unlock()
	q.moved.Broadcast()
}

// pump passes events on until the queue has ended and is empty, or ctx ends.
func (q *queue) pump(ctx context.Context) {
	defer close(q.out)
	for {
		ev, ok := q.take()
		if !ok {
			return
		}
		select {
		case q.out <- ev:
		case <-ctx.Done():
			return
		}
	}
}

func (q *queue) take() (ev Event, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.events) == 0 && !q.ended {
		q.moved.Wait()
	}
	if len(q.events) == 0 {
		return ev, false
	}
	ev, q.events[0] = q.events[0], Event{}
	q.events = q.events[1:]
	if len(q.events) == 0 {
		q.events = nil // let go of what was grown in a burst
	}
	q.moved.Broadcast()
	return ev, true
}
