package sioapi

import (
	"container/list"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
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
}

// weight is how much memory it takes, in positions.
func (r *resumeState) weight() int { return 1 + len(r.Delivered.Rooms) + len(r.Delivered.Ranges) }

// maxResumable bounds the store, in positions: some 30 MB, for 100,000 clients
// that were in one room each. The session that ended first is evicted first.
const maxResumable = 200_000

// resumeStore holds the resumable sessions of this node.
type resumeStore struct {
	// Set once.
	max     int
	evicted prometheus.Counter

	// Guarded by mu.
	mu    sync.Mutex
	byID  map[string]*list.Element // of *resumeState
	order list.List                // the session that ended first is in front
	size  int                      // weight of all
}

func newResumeStore(most int, evicted prometheus.Counter) *resumeStore {
	return &resumeStore{max: most, evicted: evicted, byID: map[string]*list.Element{}}
}

// put keeps a session, in place of an earlier one of the same socket.
func (rs *resumeStore) put(r *resumeState) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.remove(rs.byID[r.ID])
	rs.byID[r.ID] = rs.order.PushBack(r)
	rs.size += r.weight()
	for rs.size > rs.max {
		rs.remove(rs.order.Front())
		rs.evicted.Inc()
	}
}

// take removes and returns the session of a socket, or nil.
func (rs *resumeStore) take(id string) *resumeState {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return rs.remove(rs.byID[id])
}

// remove takes one out; nil is none. mu is held.
func (rs *resumeStore) remove(e *list.Element) *resumeState {
	if e == nil {
		return nil
	}
	r := rs.order.Remove(e).(*resumeState)
	delete(rs.byID, r.ID)
	rs.size -= r.weight()
	return r
}

func (rs *resumeStore) len() int {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return len(rs.byID)
}

// save writes all to a file, unless there are none.
func (rs *resumeStore) save(path string) error {
	rs.mu.Lock()
	all := make([]*resumeState, 0, len(rs.byID))
	for e := rs.order.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*resumeState))
	}
	rs.mu.Unlock()
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
