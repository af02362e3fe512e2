package presence

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// After a mass reconnect thousands of rooms have events: they are published some
// rooms at a time, with pauses, spread over most of a Tick, so that messages come
// in between.
const (
	publishMin   = 8 // rooms at a time, at least
	publishPause = 10 * time.Millisecond
)

// publisher publishes the changes of one part of the rooms (Config.Part). It has a
// goroutine while there are any: a part for which nothing answers who is online holds up
// no other, and what changes meanwhile waits, the last change of each user in a room.
type publisher struct {
	t *Tracker // set once

	// Guarded by t.mu.
	waiting map[chat.RoomID]map[chat.UserID]bool // whether they are online
	busy    bool                                 // its goroutine runs

	lastCount map[chat.RoomID]int // that was last published to large rooms; owned by the goroutine
}

// publish hands changes to the publishers of their parts.
func (t *Tracker) publish(changes []Change) {
	if t.cfg.Publish == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range changes {
		part := t.cfg.Part(c.Room)
		p := t.publishers[part]
		if p == nil {
			p = &publisher{t: t, waiting: map[chat.RoomID]map[chat.UserID]bool{}, lastCount: map[chat.RoomID]int{}}
			t.publishers[part] = p
		}
		if p.waiting[c.Room] == nil {
			p.waiting[c.Room] = map[chat.UserID]bool{}
		}
		p.waiting[c.Room][c.User] = c.On
		if !p.busy {
			p.busy = true
			t.publishing.Go(p.run)
		}
	}
}

// run publishes until nothing waits, or the tracker ends.
func (p *publisher) run() {
	for {
		changes := p.take()
		if len(changes) == 0 {
			return
		}
		p.publish(changes)
	}
}

// take returns what waits, rooms and users in order; nothing if the goroutine is to end.
func (p *publisher) take() (changes []Change) {
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	maps.DeleteFunc(p.lastCount, func(room chat.RoomID, _ int) bool { return p.t.rooms[room] == nil })
	select {
	case <-p.t.done:
		clear(p.waiting)
	default:
	}
	for room, users := range p.waiting {
		for user, on := range users {
			changes = append(changes, Change{Room: room, User: user, On: on})
		}
	}
	clear(p.waiting)
	p.busy = len(changes) > 0
	slices.SortFunc(changes, compareChanges)
	return changes
}

// publish publishes changes to their rooms.
func (p *publisher) publish(changes []Change) {
	rooms := 0
	for i, c := range changes {
		if i == 0 || c.Room != changes[i-1].Room {
			rooms++
		}
	}
	batch := max(publishMin, int(time.Duration(rooms)*publishPause/(p.t.cfg.Tick*3/4)))
	for len(changes) > 0 {
		if changes = p.publishRooms(changes, batch); len(changes) > 0 {
			select {
			case <-time.After(publishPause):
			case <-p.t.done:
				return
			}
		}
	}
}

// publishRooms publishes to the first rooms, which together may ask the driver for
// driverTimeout, and returns the changes of the others.
func (p *publisher) publishRooms(changes []Change, rooms int) (rest []Change) {
	t := p.t
	ctx, cancel := context.WithTimeout(t.ctx, driverTimeout)
	defer cancel()
	for done := 0; done < rooms && len(changes) > 0; done++ {
		room := changes[0].Room
		n := slices.IndexFunc(changes, func(c Change) bool { return c.Room != room })
		if n < 0 {
			n = len(changes)
		}
		online, err := t.Online(ctx, room, t.cfg.MaxNamed)
		if err != nil {
			t.metrics.unpublished.Inc()
		} else if said := p.summary(room, changes[:n], &online); said != nil {
			t.cfg.Publish(&chat.Event{Kind: chat.EventPresence, Room: room, Presence: said})
		}
		changes = changes[n:]
	}
	return changes
}

// summary is what is published to a room: the users who came and went, or in a
// large room how many are online. A user who is still online on another node has
// not gone. It is nil when there is nothing to publish.
func (p *publisher) summary(room chat.RoomID, changes []Change, online *chat.Online) *chat.Presence {
	count := online.Count
	out := &chat.Presence{Online: count, Degraded: online.Degraded}
	if count > p.t.cfg.MaxNamed {
		last := p.lastCount[room]
		p.lastCount[room] = count
		if last == count {
			return nil
		}
		return out
	}
	delete(p.lastCount, room)
	for _, c := range changes {
		_, there := slices.BinarySearch(online.Users, c.User)
		if c.On && there {
			out.Came = append(out.Came, c.User)
		} else if !c.On && !there {
			out.Went = append(out.Went, c.User)
		}
	}
	if len(out.Came)+len(out.Went) == 0 {
		return nil
	}
	return out
}
