// Package wheel is a timer wheel: it looks after the deadlines of thousands of
// connections with one ticker instead of a timer for each.
//
// The wheel has a bucket for each tick of one round. An item is in the bucket of
// the tick at which it is to be advanced next; when that tick comes the wheel
// calls the item's function, which does what is due and returns the next
// deadline. Deadlines usually move away while an item waits (a client answered),
// so nothing is done when they do: the call comes early, finds nothing due and
// returns the new deadline.
//
// Time is a Duration from any fixed start; the wheel rounds deadlines up to its
// tick.
package wheel

import (
	"sync"
	"sync/atomic"
	"time"
)

// Entry is an item's place in a wheel. The item holds it by value: there are many.
// It belongs to the wheel.
type Entry[T any] struct {
	next, prev T     // in the list of the bucket
	bucket     int32 // of which the item is the head, if prev is zero
	in         bool
}

// Wheel advances items of type T, which is a pointer. Its methods may be called
// from any goroutine, Advance from one at a time.
type Wheel[T comparable] struct {
	// Set once.
	tick    time.Duration
	entry   func(T) *Entry[T]
	advance func(item T, now time.Duration) (next time.Duration)

	ticks atomic.Int64 // that have passed; changed under mu

	due []T // scratch of Advance

	mu      sync.Mutex // also guards the entries
	buckets []T        // heads of lists linked by Entry
}

// New makes a wheel. Deadlines further away than round work, and cost a call
// each round. entry returns the place of an item. advance is called without a
// lock, for one item at a time: it does what is due at now, soon after the
// deadline it returned last, and returns the next one.
func New[T comparable](tick, round time.Duration, entry func(T) *Entry[T], advance func(item T, now time.Duration) (next time.Duration)) *Wheel[T] {
	return &Wheel[T]{tick: tick, entry: entry, advance: advance, buckets: make([]T, round/tick+2)}
}

// Tick is the resolution of the wheel.
func (w *Wheel[T]) Tick() time.Duration { return w.tick }

// Now is the time up to which the wheel has advanced: a clock that costs nothing
// to read.
func (w *Wheel[T]) Now() time.Duration { return time.Duration(w.ticks.Load()) * w.tick }

// Put adds an item, which is in no wheel, to be advanced when due has passed.
func (w *Wheel[T]) Put(item T, due time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.link(item, due)
}

// Remove takes an item out. A call of advance for it may still be in progress.
// An item that is not in the wheel stays out.
func (w *Wheel[T]) Remove(item T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(item)
}

// All returns the items between their Put and Remove, in no order.
func (w *Wheel[T]) All() []T {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []T
	for i := range w.buckets {
		all = w.appendBucket(all, i)
	}
	return all
}

// Run calls step once a tick until done is closed. step calls Advance.
func (w *Wheel[T]) Run(done <-chan struct{}, step func()) {
	t := time.NewTicker(w.tick)
	defer t.Stop()
	for {
		select {
		case <-done:
			return
		case <-t.C:
			step()
		}
	}
}

// Advance moves the wheel on to now and advances the items on the way. Where more
// than a round has passed (the process was stopped) each is advanced once.
func (w *Wheel[T]) Advance(now time.Duration) {
	w.due = w.turn(w.due[:0], int64(now/w.tick))
	for _, item := range w.due {
		next := w.advance(item, w.Now())
		w.mu.Lock()
		if w.unlink(item) { // it was not removed meanwhile
			w.link(item, next)
		}
		w.mu.Unlock()
	}
	clear(w.due)
}

// turn moves on to a tick and appends the items that are due on the way. They stay
// linked until they have been advanced, so that All and Remove find them.
func (w *Wheel[T]) turn(due []T, to int64) []T {
	w.mu.Lock()
	defer w.mu.Unlock()
	round := int64(len(w.buckets))
	at := max(w.ticks.Load(), to-round) // once round is enough
	for at < to {
		at++
		due = w.appendBucket(due, int(at%round))
	}
	w.ticks.Store(at)
	return due
}

// appendBucket appends the items of a bucket. mu is held.
func (w *Wheel[T]) appendBucket(dst []T, bucket int) []T {
	var none T
	for item := w.buckets[bucket]; item != none; item = w.entry(item).next {
		dst = append(dst, item)
	}
	return dst
}

// link puts an item in the bucket of due: if that is further away than a round, the
// item is advanced before it as well. mu is held.
func (w *Wheel[T]) link(item T, due time.Duration) {
	at := max(w.ticks.Load()+1, int64((due+w.tick-1)/w.tick))
	bucket := int32(at % int64(len(w.buckets)))
	head := w.buckets[bucket]
	*w.entry(item) = Entry[T]{next: head, bucket: bucket, in: true}
	var none T
	if head != none {
		w.entry(head).prev = item
	}
	w.buckets[bucket] = item
}

// unlink takes an item out of its bucket and reports whether it was in one. mu is
// held.
func (w *Wheel[T]) unlink(item T) (was bool) {
	e := w.entry(item)
	if !e.in {
		return false
	}
	var none T
	if e.next != none {
		w.entry(e.next).prev = e.prev
	}
	if e.prev != none {
		w.entry(e.prev).next = e.next
	} else {
		w.buckets[e.bucket] = e.next
	}
	*e = Entry[T]{}
	return true
}
