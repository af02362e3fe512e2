package hub

import (
	"slices"

	"github.com/roomtide/roomtide/chat"
)

// Position is how much of a room a client has: everything up to Rev.
type Position struct {
	Room chat.RoomID `json:"room"`
	Rev  chat.Rev    `json:"rev"`
}

// Range is events of a room that were written to a connection: those behind
// After, up to Rev.
type Range struct {
	Room  chat.RoomID `json:"room"`
	After chat.Rev    `json:"after"`
	Rev   chat.Rev    `json:"rev"`
}

// Delivered is what was written to a connection, in order. How much of it arrived
// is not known until the client comes back and names the newest event that it has:
// everything written before that arrived as well, whatever its room, and nothing
// behind it did. So few ranges and one event are enough to go on exactly.
//
// It may tell of more than was written, never of less.
type Delivered struct {
	Rooms  []Position `json:"rooms"`            // the subscriptions, and up to where they were written
	Ranges []Range    `json:"ranges,omitempty"` // oldest first
	Lost   bool       `json:"lost,omitempty"`   // there were more ranges before these
}

// Have returns what a client has whose newest event is rev of room; the empty
// room stands for none. ok is false where that is not known any more.
func (d *Delivered) Have(room chat.RoomID, rev chat.Rev) (have []Position, ok bool) {
	at := make(map[chat.RoomID]chat.Rev, len(d.Rooms))
	for _, p := range d.Rooms {
		at[p.Room] = p.Rev
	}
	set := func(room chat.RoomID, rev chat.Rev) {
		if _, subscribed := at[room]; subscribed {
			at[room] = rev
		}
	}
	for i := len(d.Ranges) - 1; i >= 0 && !ok; i-- {
		r := &d.Ranges[i]
		if ok = r.Room == room && r.After < rev && rev <= r.Rev; ok {
			set(room, rev)
		} else {
			set(r.Room, min(at[r.Room], r.After))
		}
	}
	if !ok && d.Lost {
		return nil, false
	}
	for _, p := range d.Rooms {
		have = append(have, Position{p.Room, at[p.Room]})
	}
	return have, true
}

// deliveryLog is the part of Delivered that most connections do without: as long
// as there was one subscription, what was written is in it.
type deliveryLog struct {
	ranges  []Range
	old     int        // ranges that were there when Acked was called last
	lost    bool       // ranges before these, which may not have arrived
	late    bool       // some of them were added after Acked was called last
	pending []Position // of rooms without a subscription yet
}

// maxRanges bounds the ranges of a connection, 32 KB. Only what is written between
// two calls of Acked is kept, so that is for connections in several lively rooms.
const maxRanges = 1024

// Track makes the hub remember what Delivered tells. It is called before anything
// is written.
func (c *Conn) Track() {
	c.mu.Lock()
	c.tracked = true
	c.mu.Unlock()
}

// SetPending says what the client has of rooms that the connection is going to
// subscribe to, so that Delivered tells it even if that never happens.
func (c *Conn) SetPending(have []Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ensureLog().pending = slices.Clone(have)
}

// Pending is what is left of what SetPending was given.
func (c *Conn) Pending() []Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.delivery == nil {
		return nil
	}
	return slices.Clone(c.delivery.pending)
}

// Replay queues events after rev after up to rev as one private frame, as Answer
// does. The client missed them; Enter and Resume follow.
func (c *Conn) Replay(room chat.RoomID, after, rev chat.Rev, events []*chat.Event) bool {
	s := c.sub(room)
	return s != nil && c.answer(s, c.frame(events), func() {
		if c.tracked { // in the same lock, so that the delivery log has the order of the bytes
			c.noteReplayed(room, after, rev)
		}
	})
}

// SendEnd tells a client that had the room up to the event's rev that it is not in
// it any more.
func (c *Conn) SendEnd(ev *chat.Event) {
	frame := c.frame([]*chat.Event{whole(ev)})
	c.mu.Lock()
	if c.tracked {
		c.noteReplayed(ev.Room, ev.Rev-1, ev.Rev)
	}
	queued, _ := c.push(frame)
	c.mu.Unlock()
	if queued {
		c.queued(true)
	}
}

// frame is events as one frame.
func (c *Conn) frame(events []*chat.Event) []byte {
	var frame []byte
	for _, ev := range events {
		frame = c.encoding().AppendEvent(frame, ev)
	}
	return frame
}

// noteReplayed notes that events are queued that were pending. c.mu is held.
func (c *Conn) noteReplayed(room chat.RoomID, after, rev chat.Rev) {
	d := c.ensureLog()
	d.clearPending(room)
	if rev > after {
		d.add(Range{room, after, rev})
	}
	if i, ok := c.find(room); ok {
		c.subs[i].since, c.subs[i].sent = after, rev
	}
}

// SendGap tells the client that the history of the room is another one than it
// has followed up to rev, and that it has to join the room again.
func (c *Conn) SendGap(room chat.RoomID, rev chat.Rev) {
	c.mu.Lock()
	if c.delivery != nil {
		c.delivery.clearPending(room)
	}
	c.mu.Unlock()
	g := &gap{c, room, chat.GapReset}
	c.Send(g.frame(rev))
	c.hub.report(g)
}

// Delivered tells what was written so far. Before the transport has ended more
// may be written meanwhile.
func (c *Conn) Delivered() Delivered {
	c.mu.Lock()
	defer c.mu.Unlock()
	var d Delivered
	for _, s := range c.subs {
		if s.sent != unknownRev {
			d.Rooms = append(d.Rooms, Position{s.share.room.id, s.sent})
		}
	}
	if c.delivery == nil {
		d.Ranges = c.soleRange()
		return d
	}
	d.Rooms = append(d.Rooms, c.delivery.pending...)
	d.Ranges, d.Lost = slices.Clone(c.delivery.ranges), c.delivery.lost
	return d
}

// soleRange is what was written while there was one subscription. c.mu is held.
func (c *Conn) soleRange() []Range {
	if len(c.subs) == 1 {
		if s := c.subs[0]; s.sent > s.since {
			return []Range{{s.share.room.id, s.since, s.sent}}
		}
	}
	return nil
}

// ensureLog returns the delivery log, which begins here if there was none. c.mu is
// held.
func (c *Conn) ensureLog() *deliveryLog {
	if c.delivery == nil {
		c.delivery = &deliveryLog{ranges: c.soleRange()}
	}
	return c.delivery
}

// noteResumed notes that the subscription was resumed behind rev. c.mu is held.
func (c *Conn) noteResumed(s *subscription, rev chat.Rev) {
	if !c.tracked {
		return
	}
	if s.sent > s.since { // resumed again: the range before this stays
		c.ensureLog()
	}
	if c.delivery != nil {
		c.delivery.clearPending(s.share.room.id)
	}
	s.since, s.sent = rev, rev
}

// noteWrite notes that what lies between two offsets is about to be written. c.mu
// is held.
func (c *Conn) noteWrite(s *subscription, from, to offset) {
	if !c.tracked || to.rev <= from.rev {
		return
	}
	s.sent = to.rev
	if c.delivery != nil {
		c.delivery.add(Range{s.share.room.id, from.rev, to.rev})
	}
}

// noteUnwritten undoes noteWrite behind an offset. Ranges of it stay; there will
// be others.
func (c *Conn) noteUnwritten(s *subscription, from offset) {
	c.mu.Lock()
	s.sent = min(s.sent, from.rev)
	c.mu.Unlock()
}

// Acked says that the client has answered something that was written after Acked
// was called before. So it has what was written before that.
func (c *Conn) Acked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := c.delivery; d != nil {
		d.ranges = append([]Range(nil), d.ranges[d.old:]...)
		d.old, d.lost, d.late = len(d.ranges), d.late, false
	}
}

// add appends a range, to the last one if it goes on there and is as new.
func (d *deliveryLog) add(r Range) {
	if n := len(d.ranges); n > d.old && d.ranges[n-1].Room == r.Room && r.After <= d.ranges[n-1].Rev {
		d.ranges[n-1].Rev = r.Rev
		return
	}
	if len(d.ranges) == maxRanges {
		const drop = maxRanges / 2
		d.ranges = slices.Delete(d.ranges, 0, drop)
		d.lost, d.late = true, d.late || drop > d.old
		d.old = max(d.old-drop, 0)
	}
	d.ranges = append(d.ranges, r)
}

// clearPending forgets what is pending of a room.
func (d *deliveryLog) clearPending(room chat.RoomID) {
	d.pending = slices.DeleteFunc(d.pending, func(p Position) bool { return p.Room == room })
}
