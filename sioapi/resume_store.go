package sioapi

import (
	"container/list"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/internal/atomicfile"
)

// resumeState is what is kept of a resumable session, one whose client is
// disconnected and may resume it: a few positions in rooms. What the client misses
// is in the store anyway, so it may resume after any time.
type resumeState struct {
	ID        string        `json:"id"` // of its socket
	User      chat.UserID   `json:"user"`
	Name      string        `json:"name,omitempty"`
	Guest     bool          `json:"guest,omitempty"` // the secret alone resumes it
	Delivered hub.Delivered `json:"delivered"`
	Proof     string        `json:"proof,omitempty"` // the signature in the pid, if another node has made it
}

// weight is how much memory it takes, in positions.
func (r *resumeState) weight() int { return 1 + len(r.Delivered.Rooms) + len(r.Delivered.Ranges) }

// maxResumable bounds the store, in positions: some 45 MB, for 100,000 clients
// that were in one room each. When it is full, users with more than a fair share
// lose sessions first, those with the most before the others; then the session
// that ended first goes.
const maxResumable = 200_000

// fairShare is what a user may hold of a store of that size: a thousandth, and not
// less than a client or two need.
func fairShare(most int) int { return max(most/1000, 20) }

// maxPerUser bounds the sessions of one user.
const maxPerUser = 100

// resumeStore holds the resumable sessions of this node.
type resumeStore struct {
	// Set once.
	max     int
	share   int // fair for one user
	evicted prometheus.Counter

	// Guarded by mu.
	mu    sync.Mutex
	byID  map[string]*list.Element // of *resumeState
	order list.List                // the session that ended first is in front
	size  int                      // weight of all
	users map[chat.UserID]*holding
	heavy map[chat.UserID]*holding // those of users above their share
}

// holding is what the store has of one user.
type holding struct {
	sessions []*list.Element // of *resumeState; the one that ended first is in front
	weight   int
}

func newResumeStore(most int, evicted prometheus.Counter) *resumeStore {
	return &resumeStore{
		max: most, share: fairShare(most), evicted: evicted, byID: map[string]*list.Element{},
		users: map[chat.UserID]*holding{}, heavy: map[chat.UserID]*holding{},
	}
}

// put keeps a session, in place of an earlier one of the same socket.
func (rs *resumeStore) put(r *resumeState) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.remove(rs.byID[r.ID])
	e := rs.order.PushBack(r)
	rs.byID[r.ID] = e
	h := rs.users[r.User]
	if h == nil {
		h = &holding{}
		rs.users[r.User] = h
	}
	h.sessions = append(h.sessions, e)
	rs.grow(r, h, r.weight())
	if len(h.sessions) > maxPerUser {
		rs.evict(h.sessions[0])
	}
	for rs.size > rs.max {
		rs.evict(rs.victim())
	}
}

// grow counts the weight of a session that comes, or that goes. mu is held.
func (rs *resumeStore) grow(r *resumeState, h *holding, by int) {
	rs.size += by
	if h.weight += by; h.weight > rs.share {
		rs.heavy[r.User] = h
	} else {
		delete(rs.heavy, r.User)
	}
}

// victim is the session to evict next. There are few heavy users: the store would not
// hold more. mu is held.
func (rs *resumeStore) victim() *list.Element {
	var most *holding
	for _, h := range rs.heavy {
		if most == nil || h.weight > most.weight {
			most = h
		}
	}
	if most != nil {
		return most.sessions[0]
	}
	return rs.order.Front()
}

func (rs *resumeStore) evict(e *list.Element) {
	rs.remove(e)
	rs.evicted.Inc()
}

// take removes and returns the session of a socket if it is the one that is meant, else
// nil.
func (rs *resumeStore) take(id string, meant func(*resumeState) bool) *resumeState {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	e := rs.byID[id]
	if e == nil || !meant(e.Value.(*resumeState)) {
		return nil
	}
	return rs.remove(e)
}

// remove takes one out; nil is none. mu is held.
func (rs *resumeStore) remove(e *list.Element) *resumeState {
	if e == nil {
		return nil
	}
	r := rs.order.Remove(e).(*resumeState)
	delete(rs.byID, r.ID)
	h := rs.users[r.User]
	rs.grow(r, h, -r.weight())
	i := slices.Index(h.sessions, e)
	if h.sessions = slices.Delete(h.sessions, i, i+1); len(h.sessions) == 0 {
		delete(rs.users, r.User)
	}
	return r
}

func (rs *resumeStore) len() int {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return len(rs.byID)
}

// first removes and returns some sessions, those that ended first: at least one if there
// is one, and further ones up to that many and that weight.
func (rs *resumeStore) first(most, weight int) (some []*resumeState) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for e := rs.order.Front(); e != nil && len(some) < most; e = rs.order.Front() {
		if weight -= e.Value.(*resumeState).weight(); weight < 0 && len(some) > 0 {
			break
		}
		some = append(some, rs.remove(e))
	}
	return some
}

// all returns the sessions, the one that ended first in front.
func (rs *resumeStore) all() []*resumeState {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	all := make([]*resumeState, 0, len(rs.byID))
	for e := rs.order.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*resumeState))
	}
	return all
}

// save writes all to a file, unless there are none.
func (rs *resumeStore) save(path string) error {
	all := rs.all()
	if len(all) == 0 {
		return nil
	}
	text, err := json.Marshal(all)
	if err == nil {
		err = atomicfile.Write(path, text)
	}
	if err != nil {
		return chat.Wrap(chat.Unavailable, "sioapi.save", err)
	}
	return nil
}

// load reads what save wrote and removes the file, which would be stale after a
// crash. Clients whose session is not in it start over.
func (rs *resumeStore) load(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var all []*resumeState
	if err == nil {
		err = errors.Join(os.Remove(path), json.Unmarshal(text, &all))
	}
	if err != nil {
		return chat.Wrap(chat.Unavailable, "sioapi.load", err)
	}
	for _, r := range all {
		if r != nil {
			rs.put(r)
		}
	}
	return nil
}
