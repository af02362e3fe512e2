package client

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

// room is a joined room as far as the consumer has received it. Its fields are
// owned by the reading goroutine, but for established, which is guarded by the
// client's mu.
//
// There are two ways to come forward. Live, every durable event is the next
// rev. Catching up, a page of the server brings everything that changed after
// a rev, in its present state and ordered by its latest change; so a new
// message that was edited comes after younger ones, which are held until it is
// there.
type room struct {
	id          chat.RoomID
	established bool // the first join was answered

	rev     chat.Rev // everything up to here was received
	at      Position // what the consumer has been given; behind rev while messages are held
	joining bool     // a join is under way; live events before its answer are part of it
	held    map[chat.Seq]*chat.Message
	info    chat.Room // title, rules, topic, avatar and data as last told
}

// happened handles a live event of a room.
func (c *Client) happened(r *room, ev *chat.Event) {
	switch {
	case !ev.Kind.Durable():
		c.events.put(Event{Event: *ev})
		return
	case r.joining || ev.Rev <= r.rev:
		return // the join brings it, or has brought it
	case ev.After() > r.rev:
		c.rejoin(r)
		return
	}
	r.rev, r.at.Rev = ev.Rev, ev.Rev
	switch ev.Kind {
	case chat.EventMessage:
		ev.Message.Created = ev.Rev
		r.at.Seq = ev.Message.Seq
	case chat.EventRoom:
		if ev.Info != nil {
			r.info = *ev.Info
		}
	}
	c.events.put(Event{Event: *ev, At: r.at})
	out := ev.Member != nil && ev.Member.User == c.User() && !ev.Member.Role.Present()
	if out || ev.Info != nil && ev.Info.Deleted {
		c.dropRoom(r, nil)
	}
}

// rejoin asks for what is missing, unless that is under way.
func (c *Client) rejoin(r *room) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !r.joining && c.link != nil && c.rooms[r.id] == r {
		c.joinAgain(r)
	}
}

// joinAgain joins after what was received. Caller holds mu; it runs in the
// reading goroutine, or before there is one.
func (c *Client) joinAgain(r *room) {
	r.joining = true
	c.joinAfter(r, r.rev)
}

// joinAfter sends the join. Caller holds mu.
func (c *Client) joinAfter(r *room, rev chat.Rev) {
	cmd := wire.Command{Type: wire.Join, Room: r.id, After: int64(rev), HasAfter: true}
	c.command(&cmd, &call{done: func(f *wire.ServerFrame) { c.rejoined(r, f) }})
}

func (c *Client) rejoined(r *room, f *wire.ServerFrame) {
	r.joining = false
	switch {
	case f == nil: // the next connection does it
	case f.Err != nil && f.Err.Kind.Retryable():
		r.joining = true
		c.rejoinLater(r, max(time.Duration(f.Err.RetryAfter)*time.Millisecond, c.opts.MinWait))
	case f.Err != nil:
		c.dropRoom(r, f.Err)
	case f.Reset:
		c.resetRoom(r, f)
	default:
		c.catchUp(r, f)
	}
}

// rejoinLater joins again after a pause, on the connection of now.
func (c *Client) rejoinLater(r *room, pause time.Duration) {
	c.mu.Lock()
	l, rev := c.link, r.rev
	c.mu.Unlock()
	time.AfterFunc(pause, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if l != nil && c.link == l && c.rooms[r.id] == r {
			c.joinAfter(r, rev)
		}
	})
}

// start is a first join without a position: the room begins with what the
// answer tells.
func (r *room) start(f *wire.ServerFrame) {
	r.rev = f.Rev
	r.at = Position{f.Rev, f.Seq}
	if f.Info != nil {
		r.info = *f.Info
	}
}

// resetRoom begins anew after the server went back in time.
func (c *Client) resetRoom(r *room, f *wire.ServerFrame) {
	r.held = nil
	r.start(f)
	end := r.at
	r.at = Position{}
	c.events.put(Event{Event: chat.Event{Room: r.id}, News: Reset})
	for i := range f.Messages {
		r.at.Seq = f.Messages[i].Seq
		c.putMessage(r, chat.EventMessage, &f.Messages[i])
	}
	r.at = end
	c.events.put(Event{Event: chat.Event{Room: r.id}, At: r.at, News: CaughtUp})
}

// catchUp tells one page of what was missed and asks for the next one.
func (c *Client) catchUp(r *room, f *wire.ServerFrame) {
	for i := range f.Messages {
		m := &f.Messages[i]
		switch {
		case m.Seq > r.at.Seq && (r.held[m.Seq] == nil || r.held[m.Seq].Rev < m.Rev):
			if r.held == nil {
				r.held = map[chat.Seq]*chat.Message{}
			}
			r.held[m.Seq] = m
			c.putNext(r)
		case m.Seq <= r.at.Seq && m.Deleted:
			c.putMessage(r, chat.EventDeleted, m)
		case m.Seq <= r.at.Seq:
			c.putMessage(r, chat.EventEdited, m)
		}
	}
	for i := range f.Members {
		m := &f.Members[i]
		c.events.put(Event{Event: chat.Event{Kind: chat.EventMember, Room: r.id, Rev: m.Rev, Member: m}, At: r.at})
	}
	r.rev = f.Rev
	if f.More {
		if len(r.held) == 0 {
			r.at.Rev = r.rev
		}
		c.rejoin(r)
		return
	}
	c.caughtUp(r, f)
}

// putNext tells the held messages that are next.
func (c *Client) putNext(r *room) {
	for m := r.held[r.at.Seq+1]; m != nil; m = r.held[r.at.Seq+1] {
		delete(r.held, m.Seq)
		r.at.Seq = m.Seq
		c.putMessage(r, chat.EventMessage, m)
	}
}

func (c *Client) caughtUp(r *room, f *wire.ServerFrame) {
	// Whatever is still held has a number missing before it that the server
	// does not have. It is told all the same, in order.
	for _, m := range slices.SortedFunc(maps.Values(r.held), func(a, b *chat.Message) int { return cmp.Compare(a.Seq, b.Seq) }) {
		r.at.Seq = m.Seq
		c.putMessage(r, chat.EventMessage, m)
	}
	r.held = nil
	r.at.Rev = r.rev
	if i := f.Info; i != nil && !sameInfo(*i, r.info) {
		r.info = *i
		c.events.put(Event{Event: chat.Event{Kind: chat.EventRoom, Room: r.id, Rev: r.rev, Info: i}, At: r.at})
	}
	c.events.put(Event{Event: chat.Event{Room: r.id}, At: r.at, News: CaughtUp})
}

// sameInfo compares what a client is told of a room.
func sameInfo(a, b chat.Room) bool {
	a.Rev, b.Rev = 0, 0 // an event has it, a reply does not
	return a == b
}

func (c *Client) putMessage(r *room, kind chat.EventKind, m *chat.Message) {
	c.events.put(Event{Event: chat.Event{Kind: kind, Room: r.id, Rev: m.Rev, Message: m}, At: r.at})
}

// dropRoom forgets a room that the user is no longer in. err is the reason if a
// join was refused.
func (c *Client) dropRoom(r *room, err error) {
	c.mu.Lock()
	known := c.rooms[r.id] == r
	if known {
		delete(c.rooms, r.id)
	}
	c.mu.Unlock()
	if known {
		c.events.put(Event{Event: chat.Event{Room: r.id}, News: Left, Err: err})
	}
}
