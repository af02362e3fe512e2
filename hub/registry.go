package hub

import (
	"hash/maphash"
	"slices"
	"sync"

	"github.com/roomtide/roomtide/chat"
)

// connSet is the connections of one worker, until they are detached. Each knows
// its place in it: a map would cost four times as much.
type connSet struct {
	mu     sync.Mutex
	closed bool
	conns  []*Conn
}

// add reports whether the set still takes connections.
func (s *connSet) add(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		c.place = int32(len(s.conns))
		s.conns = append(s.conns, c)
	}
	return !s.closed
}

// remove takes out a connection that was added, once.
func (s *connSet) remove(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := len(s.conns) - 1
	last := s.conns[end]
	s.conns[c.place], last.place = last, c.place
	s.conns[end] = nil
	s.conns = s.conns[:end]
}

func (s *connSet) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// all returns the connections.
func (s *connSet) all() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.conns)
}

// close makes add fail and returns the connections.
func (s *connSet) close() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return slices.Clone(s.conns)
}

// users finds the connections of a user.
type users struct {
	seed    maphash.Seed // set once
	stripes [stripes]userStripe
}

type userStripe struct {
	mu   sync.Mutex
	byID map[chat.UserID]*Conn // one of them; the others follow as siblings
}

func (us *users) init() {
	us.seed = maphash.MakeSeed()
	for i := range us.stripes {
		us.stripes[i].byID = map[chat.UserID]*Conn{}
	}
}

func (us *users) stripe(user chat.UserID) *userStripe {
	return &us.stripes[maphash.String(us.seed, string(user))%stripes]
}

func (us *users) add(user chat.UserID, c *Conn) {
	st := us.stripe(user)
	st.mu.Lock()
	defer st.mu.Unlock()
	c.sibling = st.byID[user]
	st.byID[user] = c
}

// remove does nothing if the connection is not there.
func (us *users) remove(user chat.UserID, c *Conn) {
	st := us.stripe(user)
	st.mu.Lock()
	defer st.mu.Unlock()
	before := st.byID[user]
	switch {
	case before != c:
		for before != nil && before.sibling != c {
			before = before.sibling
		}
		if before != nil {
			before.sibling = c.sibling
		}
	case c.sibling != nil:
		st.byID[user] = c.sibling
	default:
		delete(st.byID, user)
	}
	c.sibling = nil
}

// Reach says how each of the users is connected to this node.
func (h *Hub) Reach(users []chat.UserID) []chat.Reach {
	reach := make([]chat.Reach, len(users))
	for i, user := range users {
		reach[i] = h.users.reach(user)
	}
	return reach
}

func (us *users) reach(user chat.UserID) chat.Reach {
	st := us.stripe(user)
	st.mu.Lock()
	defer st.mu.Unlock()
	reach := chat.Offline
	for c := st.byID[user]; c != nil; c = c.sibling {
		if !c.background.Load() {
			return chat.Foreground
		}
		reach = chat.Background
	}
	return reach
}

// Users returns the users that are connected to this node, in no order.
func (h *Hub) Users() []chat.UserID {
	var all []chat.UserID
	for i := range h.users.stripes {
		st := &h.users.stripes[i]
		st.mu.Lock()
		for user := range st.byID {
			all = append(all, user)
		}
		st.mu.Unlock()
	}
	return all
}

// of returns the user's connections.
func (us *users) of(user chat.UserID) []*Conn {
	st := us.stripe(user)
	st.mu.Lock()
	defer st.mu.Unlock()
	var all []*Conn
	for c := st.byID[user]; c != nil; c = c.sibling {
		all = append(all, c)
	}
	return all
}
