package hub

import (
	"hash/maphash"
	"slices"
	"sync"

	"github.com/roomtide/roomtide/chat"
)

// connSet is the connections of one worker, until they are detached.
type connSet struct {
	mu     sync.Mutex
	closed bool
	conns  map[*Conn]struct{}
}

// add reports whether the set still takes connections.
func (s *connSet) add(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.conns[c] = struct{}{}
	}
	return !s.closed
}

func (s *connSet) remove(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.conns[c]
	delete(s.conns, c)
	return ok
}

// close makes add fail and returns who is there.
func (s *connSet) close() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	all := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}

// users finds the connections of a user.
type users struct {
	seed   maphash.Seed // set once
	shards [shards]userShard
}

type userShard struct {
	mu   sync.Mutex
	byID map[chat.UserID][]*Conn
}

func (us *users) init() {
	us.seed = maphash.MakeSeed()
	for i := range us.shards {
		us.shards[i].byID = map[chat.UserID][]*Conn{}
	}
}

func (us *users) shard(user chat.UserID) *userShard {
	return &us.shards[maphash.String(us.seed, string(user))%shards]
}

func (us *users) add(user chat.UserID, c *Conn) {
	sh := us.shard(user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.byID[user] = append(sh.byID[user], c)
}

func (us *users) remove(user chat.UserID, c *Conn) {
	sh := us.shard(user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i := slices.Index(sh.byID[user], c)
	if i < 0 {
		return
	}
	if rest := slices.Delete(sh.byID[user], i, i+1); len(rest) > 0 {
		sh.byID[user] = rest
	} else {
		delete(sh.byID, user)
	}
}

// of returns the user's connections.
func (us *users) of(user chat.UserID) []*Conn {
	sh := us.shard(user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return slices.Clone(sh.byID[user])
}
