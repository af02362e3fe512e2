package presence

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// run flushes what changed to the driver and the record and publishes it, once a
// Tick.
func (t *Tracker) run() {
	defer close(t.ended)
	tick := time.NewTicker(t.cfg.Tick)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			t.endGrace(now)
			t.publish(t.flush())
		case <-t.done:
			t.removeAll()
			t.flush()
			t.publishing.Wait() // ends, since done is closed
			return
		}
	}
}

// endGrace takes users offline whose grace has passed.
func (t *Tracker) endGrace(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.leaving) > 0 && !t.leaving[0].due.After(now) {
		d := t.leaving[0]
		t.leaving[0] = departure{}
		t.leaving = t.leaving[1:]
		u := t.rooms[d.room][d.user]
		u.leaving = false
		if u.conns > 0 {
			continue
		}
		if !u.on { // removed
			t.forget(d.room, d.user, u)
			continue
		}
		if due := t.due(u); due.After(now) { // came back and left again
			u.leaving = true
			t.leaving = append(t.leaving, departure{d.room, d.user, due})
			continue
		}
		t.set(d.room, d.user, u, false)
	}
}

// removeAll takes all users offline.
func (t *Tracker) removeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leaving = nil
	for room, users := range t.rooms {
		for id, u := range users {
			u.conns, u.leaving = 0, false
			t.set(room, id, u, false)
		}
	}
}

// flush brings the driver and the record up to date and returns what is to be
// published. What the driver did not apply is tried again with the next Tick.
func (t *Tracker) flush() (changes []Change) {
	apply, changes := t.takeChanges()
	slices.SortFunc(apply, compareChanges)
	slices.SortFunc(changes, compareChanges)
	for batch := range slices.Chunk(apply, applyBatch) {
		ctx, cancel := context.WithTimeout(context.Background(), driverTimeout)
		err := t.cfg.Driver.Apply(ctx, batch)
		cancel()
		t.report(err)
		if err != nil {
			break
		}
		t.applied(batch)
	}
	if len(changes) > 0 && t.cfg.Record != nil {
		t.cfg.Record.Persist(changes)
	}
	return changes
}

// applyBatch is how many changes the driver gets at a time: Online waits for it in
// a driver that is in the node's own memory.
const applyBatch = 256

// takeChanges returns what the driver does not have, and what was not persisted
// and published yet; the latter it marks as persisted.
func (t *Tracker) takeChanges() (apply, changes []Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for room, users := range t.pending {
		for id, u := range users {
			c := Change{Room: room, User: id, On: u.on}
			if u.persisted != u.on {
				u.persisted = u.on
				changes = append(changes, c)
			}
			if u.applied != u.on {
				apply = append(apply, c)
			} else {
				t.clearPending(room, id, u)
			}
		}
	}
	return apply, changes
}

// applied marks what the driver has applied. A user who changed meanwhile stays
// pending until the next Tick.
func (t *Tracker) applied(changes []Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range changes {
		u := t.rooms[c.Room][c.User]
		u.applied = c.On
		if u.on == c.On {
			t.clearPending(c.Room, c.User, u)
		}
	}
}

// clearPending ends the flush of a user whose state the driver and the record
// have. t.mu is held.
func (t *Tracker) clearPending(room chat.RoomID, id chat.UserID, u *user) {
	t.pending.drop(room, id)
	t.pendingCount--
	t.forget(room, id, u)
}

// forget drops a user of whom there is nothing left to remember. t.mu is held.
func (t *Tracker) forget(room chat.RoomID, id chat.UserID, u *user) {
	if _, pending := t.pending[room][id]; !u.on && !u.leaving && !pending {
		t.rooms.drop(room, id)
	}
}

// report logs when the driver begins to fail and when it works again.
func (t *Tracker) report(err error) {
	switch {
	case err != nil && !t.failing:
		t.log.Warn("presence: the driver fails; the store is asked who is online", "err", err)
	case err == nil && t.failing:
		t.log.Info("presence: the driver works again")
	}
	if t.failing = err != nil; t.failing {
		t.metrics.failures.Inc()
	}
}

func compareChanges(a, b Change) int {
	return cmp.Or(cmp.Compare(a.Room, b.Room), cmp.Compare(a.User, b.User))
}
