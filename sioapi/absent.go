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

// absence is what is kept of a client that is away: a few places in rooms. What
// it misses is in the store anyway, so it may stay away for any time.
type absence struct {
	ID        string        `json:"id"` // of its socket
	User      chat.UserID   `json:"user"`
	Name      string        `json:"name,omitempty"`
	Guest     bool          `json:"guest,omitempty"` // needs no proof but the secret to come back
	Delivered hub.Delivered `json:"delivered"`
}

// weight is how much room it takes, in places.
func (a *absence) weight() int { return 1 + len(a.Delivered.Rooms) + len(a.Delivered.Ranges) }

// maxAbsent bounds what is kept, in places: some 30 MB, for 100,000 clients
// that were in one room each. Who left first is forgotten first.
const maxAbsent = 200_000

// absent is the clients that are away and may come back.
type absent struct {
	// Set once.
	max       int
	forgotten prometheus.Counter

	mu    sync.Mutex
	byID  map[string]*list.Element // of *absence
	order list.List                // who left first is in front
	size  int                      // weight of all
}

func newAbsent(most int, forgotten prometheus.Counter) *absent {
	return &absent{max: most, forgotten: forgotten, byID: map[string]*list.Element{}}
}

// put keeps an absence, in place of an earlier one of the same socket.
func (a *absent) put(one *absence) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.remove(a.byID[one.ID])
	a.byID[one.ID] = a.order.PushBack(one)
	a.size += one.weight()
	for a.size > a.max {
		a.remove(a.order.Front())
		a.forgotten.Inc()
	}
}

// take returns the absence of a socket, or nil. Nobody else gets it.
func (a *absent) take(id string) *absence {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.remove(a.byID[id])
}

// remove takes one out; nil is none. a.mu is held.
func (a *absent) remove(e *list.Element) *absence {
	if e == nil {
		return nil
	}
	one := a.order.Remove(e).(*absence)
	delete(a.byID, one.ID)
	a.size -= one.weight()
	return one
}

func (a *absent) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.byID)
}

// save writes all to a file.
func (a *absent) save(path string) error {
	a.mu.Lock()
	all := make([]*absence, 0, len(a.byID))
	for e := a.order.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*absence))
	}
	a.mu.Unlock()
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

// load reads what save wrote and removes the file: after a crash it would tell
// of an earlier time. Clients that it cannot tell of start over.
func (a *absent) load(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var all []*absence
	if err == nil {
		err = errors.Join(os.Remove(path), json.Unmarshal(text, &all))
	}
	if err != nil {
		return chat.Wrap(chat.Unavailable, "sioapi.load", err)
	}
	for _, one := range all {
		if one != nil {
			a.put(one)
		}
	}
	return nil
}
