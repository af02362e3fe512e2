package presence

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// run tells the driver, the store and the rooms what changed, once a Tick.
func (t *Tracker) run() {
	defer close(t.ended)
	tick := time.NewTicker(t.cfg.Tick)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			t.depart(now)
			t.publish(t.tell())
		case <-t.done:
			t.departAll()
			t.tell()
			return
		}
	}
}

// depart ends the stay of those whose grace has passed.
func (t *Tracker) depart(now time.Time) {
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
		if due := t.due(u); due.After(now) { // came back and went again
			u.leaving = true
			t.leaving = append(t.leaving, departure{d.room, d.user, due})
			continue
		}
		t.set(d.room, d.user, u, false)
	}
}

// departAll ends everybody's stay.
func (t *Tracker) departAll() {
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

// tell brings the driver and Note up to date and returns what was new. What the
// driver did not take is told again with the next Tick.
func (t *Tracker) tell() (news []Change) {
	apply, news := t.take()
	slices.SortFunc(apply, compareChanges)
	slices.SortFunc(news, compareChanges)
	for part := range slices.Chunk(apply, changesATime) {
		ctx, cancel := context.WithTimeout(context.Background(), driverTime)
		err := t.cfg.Driver.Apply(ctx, part)
		cancel()
		t.report(err)
		if err != nil {
			break
		}
		t.applied(part)
	}
	if len(news) > 0 && t.cfg.Note != nil {
		t.cfg.Note(news)
	}
	return news
}

// changesATime is how many changes the driver is told at a time: Online waits for
// it in a node's own memory.
const changesATime = 256

// take returns what the driver does not know and what was not told yet, and takes
// the latter as told.
func (t *Tracker) take() (apply, news []Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for room, users := range t.changed {
		for id, u := range users {
			c := Change{Room: room, User: id, On: u.on}
			if u.told != u.on {
				u.told = u.on
				news = append(news, c)
			}
			if u.applied != u.on {
				apply = append(apply, c)
			} else {
				t.settle(room, id, u)
			}
		}
	}
	return apply, news
}

// applied notes what the driver took. Who changed meanwhile waits for the next
// Tick.
func (t *Tracker) applied(changes []Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range changes {
		u := t.rooms[c.Room][c.User]
		u.applied = c.On
		if u.on == c.On {
			t.settle(c.Room, c.User, u)
		}
	}
}

// settle takes a change as known to everybody. t.mu is held.
func (t *Tracker) settle(room chat.RoomID, id chat.UserID, u *user) {
	drop(t.changed, room, id)
	t.pending--
	t.forget(room, id, u)
}

// forget drops a user of whom there is nothing left to remember. t.mu is held.
func (t *Tracker) forget(room chat.RoomID, id chat.UserID, u *user) {
	if _, changed := t.changed[room][id]; !u.on && !u.leaving && !changed {
		drop(t.rooms, room, id)
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

// When a crowd comes or goes, thousands of rooms are told: some at a time, with
// pauses, spread over most of a Tick, so that messages come in between.
const (
	fewRooms  = 8
	tellPause = 10 * time.Millisecond
)

// publish tells the rooms.
func (t *Tracker) publish(news []Change) {
	if t.cfg.Publish == nil {
		return
	}
	rooms := 0
	for i, c := range news {
		if i == 0 || c.Room != news[i-1].Room {
			rooms++
		}
	}
	atATime := max(fewRooms, int(time.Duration(rooms)*tellPause/(t.cfg.Tick*3/4)))
	for len(news) > 0 {
		if news = t.publishSome(news, atATime); len(news) > 0 {
			select {
			case <-time.After(tellPause):
			case <-t.done:
			}
		}
	}
	t.mu.Lock()
	maps.DeleteFunc(t.lastTold, func(room chat.RoomID, _ int) bool { return t.rooms[room] == nil })
	t.mu.Unlock()
}

// publishSome tells the first rooms, which together may ask the driver for
// driverTime, and returns what is left.
func (t *Tracker) publishSome(news []Change, rooms int) (rest []Change) {
	ctx, cancel := context.WithTimeout(context.Background(), driverTime)
	defer cancel()
	for told := 0; told < rooms && len(news) > 0; told++ {
		room := news[0].Room
		n := slices.IndexFunc(news, func(c Change) bool { return c.Room != room })
		if n < 0 {
			n = len(news)
		}
		online, count, err := t.Online(ctx, room, t.cfg.MaxNamed)
		if err != nil {
			t.metrics.untold.Inc()
		} else if p := t.summary(room, news[:n], online, count); p != nil {
			t.cfg.Publish(&chat.Event{Kind: chat.EventPresence, Room: room, Presence: p})
		}
		news = news[n:]
	}
	return news
}

// summary is what a room is told: who came and went, or in a large room how many
// are there. Who is online on another node still did not go. It is nil when there
// is nothing to tell.
func (t *Tracker) summary(room chat.RoomID, changes []Change, online []chat.UserID, count int) *chat.Presence {
	p := &chat.Presence{Online: count}
	if count > t.cfg.MaxNamed {
		last := t.lastTold[room]
		t.lastTold[room] = count
		if last == count {
			return nil
		}
		return p
	}
	delete(t.lastTold, room)
	for _, c := range changes {
		_, there := slices.BinarySearch(online, c.User)
		if c.On && there {
			p.Came = append(p.Came, c.User)
		} else if !c.On && !there {
			p.Went = append(p.Went, c.User)
		}
	}
	if len(p.Came)+len(p.Went) == 0 {
		return nil
	}
	return p
}

func compareChanges(a, b Change) int {
	return cmp.Or(cmp.Compare(a.Room, b.Room), cmp.Compare(a.User, b.User))
}
