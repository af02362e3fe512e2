package ingest

import (
	"context"
	"slices"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// room is what is held of the entries of a room, in their order. Many are sent at a time,
// as the engine keeps the order in which they are given. When one is refused for now, those
// behind it are not sent, and what was sent before is waited for; then all of them are
// sent again, in their order. One that was accepted meanwhile stays in front of it.
type room struct {
	waiting  []*item   // by number
	flying   int       // that were sent and have no outcome
	refused  error     // why something that was sent since the last pause is refused for now
	failures int       // in a row
	until    time.Time // nothing is sent before
}

// roomOf is the room of an entry.
func (r *Reader) roomOf(it *item) *room {
	m := r.rooms[it.Room]
	if m == nil {
		m = &room{}
		r.rooms[it.Room] = m
	}
	return m
}

// tidy forgets a room of which nothing is held.
func (r *Reader) tidy(id chat.RoomID) {
	if m := r.rooms[id]; m != nil && m.flying == 0 && len(m.waiting) == 0 {
		delete(r.rooms, id)
	}
}

// add puts an entry where its number is.
func (m *room) add(it *item) {
	at, _ := slices.BinarySearchFunc(m.waiting, it.number, func(w *item, n int) int { return w.number - n })
	m.waiting = slices.Insert(m.waiting, at, it)
}

// landed begins a pause if something was refused and nothing is on its way any more.
func (m *room) landed() {
	switch {
	case m.refused == nil:
		m.failures = 0
	case m.flying == 0:
		m.until = time.Now().Add(chat.Backoff(m.failures, m.refused, minBackoff, maxBackoff))
		m.failures++
		m.refused = nil
	}
}

// send sends what waits for a room, unless the room is to wait.
func (r *Reader) send(ctx context.Context, id chat.RoomID) {
	for {
		m := r.rooms[id]
		if m == nil || len(m.waiting) == 0 || m.refused != nil || time.Now().Before(m.until) {
			return
		}
		it := m.waiting[0]
		m.waiting = m.waiting[1:]
		m.flying++
		it.Send(ctx, func(repeated bool, err error) { r.outcomes <- outcome{it, repeated, err} })
		r.settleAll() // a lane that is full says so at once
	}
}

// sendAgain sends what waits for rooms whose pause is over.
func (r *Reader) sendAgain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	for id, m := range r.rooms {
		if len(m.waiting) > 0 {
			r.send(ctx, id)
		}
	}
}

// flying reports whether anything was sent that has no outcome.
func (r *Reader) flying() bool {
	for _, m := range r.rooms {
		if m.flying > 0 {
			return true
		}
	}
	return false
}
