package hub

import (
	"context"
	"slices"

	"github.com/roomtide/roomtide/chat"
)

// Position is how much of a room somebody has: everything up to Rev.
type Position struct {
	Room chat.RoomID `json:"room"`
	Rev  chat.Rev    `json:"rev"`
}

// Step is a stretch of a room that was written to a connection: what came
// after After, up to Rev.
type Step struct {
	Room  chat.RoomID `json:"room"`
	After chat.Rev    `json:"after"`
	Rev   chat.Rev    `json:"rev"`
}

// Trail is what was written to a connection, in order. Nobody knows how much of
// it arrived, unless the peer comes back and names the newest event it has: all
// that was written before that arrived as well, whatever its room, and nothing
// behind it did. So few steps and one event are enough to go on exactly.
//
// A trail may tell of more than was written, never of less.
type Trail struct {
	Rooms []Position `json:"rooms"`           // where the connection was seated, and what was written of it
	Steps []Step     `json:"steps,omitempty"` // oldest first
	Lost  bool       `json:"lost,omitempty"`  // there were more steps before these
}

// Have returns what a peer has whose newest event is rev of room; the empty room
// stands for none. ok is false where that is not known any more.
func (t *Trail) Have(room chat.RoomID, rev chat.Rev) (have []Position, ok bool) {
	at := make(map[chat.RoomID]chat.Rev, len(t.Rooms))
	for _, p := range t.Rooms {
		at[p.Room] = p.Rev
	}
	set := func(room chat.RoomID, rev chat.Rev) {
		if _, seated := at[room]; seated {
			at[room] = rev
		}
	}
	for i := len(t.Steps) - 1; i >= 0 && !ok; i-- {
		st := &t.Steps[i]
		if ok = st.Room == room && st.After < rev && rev <= st.Rev; ok {
			set(room, rev)
		} else {
			set(st.Room, min(at[st.Room], st.After))
		}
	}
	if !ok && t.Lost {
		return nil, false
	}
	for _, p := range t.Rooms {
		have = append(have, Position{p.Room, at[p.Room]})
	}
	return have, true
}

// trail is the part of a Trail that most connections do without: as long as
// there was one seat, what was written is in it.
type trail struct {
	steps []Step
	old   int        // steps that were there when Heard was called last
	lost  bool       // steps before these, which may not have arrived
	late  bool       // some of them were added after Heard was called last
	owed  []Position // of rooms in which there is no seat yet

	flushed chan struct{} // closed when nothing private is queued; nil: nobody waits
}

// maxSteps bounds the steps of a connection, 32 KB. Only what is written between
// two calls of Heard is kept, so that is for connections in several lively rooms.
const maxSteps = 1024

// Track makes the hub remember what Trail tells. It is called before anything
// is written.
func (c *Conn) Track() {
	c.mu.Lock()
	c.tracked = true
	c.mu.Unlock()
}

// Owe says what the peer has of rooms in which the connection will be seated, so
// that Trail tells it even if it never comes to that.
func (c *Conn) Owe(have []Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.branch().owed = slices.Clone(have)
}

// Owed is what is left of what Owe was given.
func (c *Conn) Owed() []Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.trail == nil {
		return nil
	}
	return slices.Clone(c.trail.owed)
}

// Replay queues events after rev after up to rev as one private frame. The
// peer missed them; Open was called for the room, and Start follows.
func (c *Conn) Replay(room chat.RoomID, after, rev chat.Rev, events []*chat.Event) {
	var frame []byte
	for _, ev := range events {
		frame = c.encoding().AppendEvent(frame, ev)
	}
	c.mu.Lock()
	if c.tracked { // in the same lock, so that the trail has the order of the bytes
		c.replays(room, after, rev)
	}
	queued := false
	if len(frame) > 0 {
		queued, _ = c.push(frame)
	}
	c.mu.Unlock()
	if queued {
		c.queued(true)
	}
}

// replays notes that events are queued that were owed. c.mu is held.
func (c *Conn) replays(room chat.RoomID, after, rev chat.Rev) {
	t := c.branch()
	t.pay(room)
	if rev > after {
		t.add(Step{room, after, rev})
	}
	if i, ok := c.find(room); ok {
		c.seats[i].since, c.seats[i].sent = after, rev
	}
}

// SendGap tells the peer that it has missed what came after rev of a room, and
// has to join it again.
func (c *Conn) SendGap(room chat.RoomID, rev chat.Rev) {
	c.mu.Lock()
	if c.trail != nil {
		c.trail.pay(room)
	}
	c.mu.Unlock()
	g := &gap{c, room, chat.GapReset}
	c.Send(g.frame(rev))
	c.hub.report(g)
}

// Trail tells what was written so far. Before the transport has ended more may
// be written meanwhile.
func (c *Conn) Trail() Trail {
	c.mu.Lock()
	defer c.mu.Unlock()
	var t Trail
	for _, s := range c.seats {
		if s.sent != unknownRev {
			t.Rooms = append(t.Rooms, Position{s.part.room.id, s.sent})
		}
	}
	if c.trail == nil {
		t.Steps = c.soleStep()
		return t
	}
	t.Rooms = append(t.Rooms, c.trail.owed...)
	t.Steps, t.Lost = slices.Clone(c.trail.steps), c.trail.lost
	return t
}

// soleStep is what was written while there was one seat. c.mu is held.
func (c *Conn) soleStep() []Step {
	if len(c.seats) == 1 {
		if s := c.seats[0]; s.sent > s.since {
			return []Step{{s.part.room.id, s.since, s.sent}}
		}
	}
	return nil
}

// branch returns the trail, which begins here if there was none. c.mu is held.
func (c *Conn) branch() *trail {
	if c.trail == nil {
		c.trail = &trail{steps: c.soleStep()}
	}
	return c.trail
}

// flows notes that the seat is started behind rev. c.mu is held.
func (c *Conn) flows(s *seat, rev chat.Rev) {
	if !c.tracked {
		return
	}
	if s.sent > s.since { // started again: the step before this stays
		c.branch()
	}
	if c.trail != nil {
		c.trail.pay(s.part.room.id)
	}
	s.since, s.sent = rev, rev
}

// writes notes that what lies between two marks of the seat's room is about to
// be written. c.mu is held.
func (c *Conn) writes(s *seat, from, to mark) {
	if !c.tracked || to.rev <= from.rev {
		return
	}
	s.sent = to.rev
	if c.trail != nil {
		c.trail.add(Step{s.part.room.id, from.rev, to.rev})
	}
}

// unwritten undoes writes behind a mark. Steps of it stay; there will be others.
func (c *Conn) unwritten(s *seat, from mark) {
	c.mu.Lock()
	s.sent = min(s.sent, from.rev)
	c.mu.Unlock()
}

// Heard says that the peer has given a sign of life, in answer to something that
// was written after Heard was called before. So it has what was written before
// that.
func (c *Conn) Heard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.trail; t != nil {
		t.steps = append([]Step(nil), t.steps[t.old:]...)
		t.old, t.lost, t.late = len(t.steps), t.late, false
	}
}

// add appends a step, to the last one if it goes on there and is as new.
func (t *trail) add(st Step) {
	if n := len(t.steps); n > t.old && t.steps[n-1].Room == st.Room && st.After <= t.steps[n-1].Rev {
		t.steps[n-1].Rev = st.Rev
		return
	}
	if len(t.steps) == maxSteps {
		const drop = maxSteps / 2
		t.steps = slices.Delete(t.steps, 0, drop)
		t.lost, t.late = true, t.late || drop > t.old
		t.old = max(t.old-drop, 0)
	}
	t.steps = append(t.steps, st)
}

// pay forgets what is owed of a room.
func (t *trail) pay(room chat.RoomID) {
	t.owed = slices.DeleteFunc(t.owed, func(p Position) bool { return p.Room == room })
}

// Flush waits until the link has taken what was Sent, but for the end of the last
// frame, or takes nothing any more.
func (c *Conn) Flush(ctx context.Context) error {
	c.mu.Lock()
	if len(c.private) == 0 {
		c.mu.Unlock()
		return nil
	}
	t := c.branch()
	if t.flushed == nil {
		t.flushed = make(chan struct{})
	}
	flushed := t.flushed
	c.mu.Unlock()
	select {
	case <-flushed:
		return nil
	case <-ctx.Done():
		return chat.Wrap(chat.Unavailable, "hub.flush", ctx.Err())
	}
}

// wakeFlush ends the waits of Flush if nothing is queued. c.mu is held.
func (c *Conn) wakeFlush() {
	if t := c.trail; t != nil && t.flushed != nil && len(c.private) == 0 {
		close(t.flushed)
		t.flushed = nil
	}
}
