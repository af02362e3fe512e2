package hub

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/roomtide/roomtide/chat"
)

// Conn is one connection. Its methods are safe for any goroutine. Subscribe waits
// for the bus when the hub does not listen to the lane of the room yet; the others
// do not block.
type Conn struct {
	// Set by Attach.
	hub    *Hub
	link   Link
	worker *worker

	// Safe for any goroutine.
	dirty      atomic.Bool // on the worker's list
	background atomic.Bool // what the connection shows is not looked at

	encodingID uint8 // set by Attach, and by SetEncoding before there are subscriptions

	place   int32 // in connSet.conns; guarded by its mu
	sibling *Conn // the next one of the same user; guarded by userStripe.mu

	mu       sync.Mutex
	user     chat.UserID     // set once, by SetUser
	subs     []*subscription // by room; most connections have few, and a map costs more than all of them
	private  [][]byte        // frames for this connection alone, oldest first
	small    int32           // bytes of those in private of up to Config.maxSmall
	large    int32           // bytes of the larger ones in private, and of one that the link has a part of
	left     chan struct{}   // closed when private frames have left; nil: not waited for
	bye      *chat.Goodbye   // set by the first Close; nothing is queued after it
	gone     bool            // detached
	guest    bool            // set once, by SetGuest
	tracked  bool            // Delivered will be asked for
	delivery *deliveryLog    // nil as long as there was one subscription

	// Owned by the worker.
	stalled bool  // the link accepts no more; a goroutine waits for it
	dead    bool  // nothing is written any more
	touched bool  // on the list of this round
	first   int32 // what this round has for it: a list in worker.items
	last    int32
	backlog *backlog // nil while the link takes everything; changed under mu
}

// encoding is how the connection is written to.
func (c *Conn) encoding() Encoding { return c.hub.encoding(int(c.encodingID)) }

// SetEncoding chooses another encoding than Attach did. It is called before the
// first Subscribe or Resume, and not at the same time.
func (c *Conn) SetEncoding(enc Encoding) { c.encodingID = c.hub.encodingID(enc) }

// SetUser says whose connection it is. It is called once.
func (c *Conn) SetUser(user chat.UserID) {
	c.mu.Lock()
	ok := !c.gone && c.user == ""
	if ok {
		c.user = user
	}
	c.mu.Unlock()
	if !ok {
		return
	}
	c.hub.users.add(user, c)
	c.mu.Lock()
	gone := c.gone
	c.mu.Unlock()
	if gone { // Detach may have looked before add
		c.hub.users.remove(user, c)
	}
}

// SetForeground says whether what the connection shows is looked at. A connection that
// has not said so is in the foreground.
func (c *Conn) SetForeground(on bool) { c.background.Store(!on) }

// SetGuest says that the user of the connection is a guest. It is called before SetUser.
func (c *Conn) SetGuest() {
	c.mu.Lock()
	c.guest = true
	c.mu.Unlock()
}

// isGuest reports whether SetGuest was called.
func (c *Conn) isGuest() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.guest
}

// Subscribe takes the connection into a room. Nothing flows yet, but nothing that
// happens from now on is lost for a Resume that follows. On a connection that is
// in the room already it stops the flow, so that the room can be joined again.
func (c *Conn) Subscribe(id chat.RoomID) error {
	if s := c.sub(id); s != nil {
		s.pause()
		return nil
	}
	r, err := c.hub.hold(id)
	if err != nil {
		return err
	}
	s := r.share(c.worker).add(c)
	c.mu.Lock()
	var other *subscription
	i, taken := c.find(id)
	gone := c.gone
	switch {
	case taken:
		other = c.subs[i]
	case !gone:
		if c.tracked && len(c.subs) == 1 {
			c.ensureLog()
		}
		c.subs = slices.Insert(c.subs, i, s)
	}
	c.mu.Unlock()
	switch {
	case gone:
		s.end()
		return chat.E(chat.Unavailable, "the connection is gone")
	case other != nil: // Subscribe twice at the same time
		s.end()
		other.pause()
	}
	return nil
}

// Resume lets the events after rev flow, in order, each once, none left out, and
// behind everything Sent before. Where the hub cannot keep that promise, now or
// later, it says so with a gap frame, and nothing flows until Subscribe is called
// again. Resume does nothing unless Subscribe came before it.
func (c *Conn) Resume(id chat.RoomID, after chat.Rev) {
	s := c.sub(id)
	if s == nil {
		return
	}
	pending, g := s.resume(after)
	if pending {
		c.worker.addSub(s)
		c.worker.kick()
	}
	if g != nil {
		c.hub.report(g)
	}
}

// Unsubscribe takes the connection out of a room; the membership stays. Nothing of
// the room is written after frames that are Sent from now on.
func (c *Conn) Unsubscribe(id chat.RoomID) {
	if s := c.take(id, math.MaxInt64); s != nil {
		s.end()
		if s.counted {
			c.hub.cfg.Presence.Leave(id, c.userID())
		}
	}
}

// take takes a subscription out of subs, unless the user is known to be a member at
// rev. nil: there is none. The caller ends it, and gives back what Presence counts.
func (c *Conn) take(id chat.RoomID, rev chat.Rev) *subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.find(id)
	if !ok || c.subs[i].asOf >= rev {
		return nil
	}
	s := c.subs[i]
	c.subs = slices.Delete(c.subs, i, i+1)
	return s
}

// Subscribed reports whether the connection is in the room, flowing or not.
func (c *Conn) Subscribed(id chat.RoomID) bool { return c.sub(id) != nil }

func (c *Conn) sub(id chat.RoomID) *subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i, ok := c.find(id); ok {
		return c.subs[i]
	}
	return nil
}

// find returns where in subs the room is or would be. c.mu is held.
func (c *Conn) find(id chat.RoomID) (i int, ok bool) {
	return slices.BinarySearchFunc(c.subs, id, func(s *subscription, id chat.RoomID) int {
		return cmp.Compare(s.share.room.id, id)
	})
}

// Detach says that the transport is gone. It leaves all rooms, and the hub
// forgets the connection. It may be called again.
func (c *Conn) Detach() {
	c.mu.Lock()
	if c.gone {
		c.mu.Unlock()
		return
	}
	c.gone = true
	subs, user := c.subs, c.user
	c.subs = nil
	c.dropPrivate()
	c.mu.Unlock()
	if user != "" {
		c.hub.users.remove(user, c)
	}
	for _, s := range subs {
		s.end()
		if s.counted {
			c.hub.cfg.Presence.Leave(s.share.room.id, user)
		}
	}
	c.worker.conns.remove(c)
	c.hub.metrics.conns.Dec()
}

// Close ends the connection: what is queued is written if the link takes it at
// once, then the link is closed with g. The transport is expected to notice and
// to Detach. Only the first Close counts.
func (c *Conn) Close(g chat.Goodbye) {
	c.mu.Lock()
	if c.gone || c.bye != nil {
		c.mu.Unlock()
		return
	}
	c.bye = &g
	c.mu.Unlock()
	c.worker.addConn(c)
	c.worker.kick()
}

// Closing reports whether the connection has ended or is about to: nothing that is sent
// arrives any more. A transport reads on for a while then, so that the peer gets the goodbye.
func (c *Conn) Closing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone || c.bye != nil
}

func (c *Conn) userID() chat.UserID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.user
}
