package lane

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/roomtide/roomtide/store"
)

// What a lane remembers of its outbox is bounded; the oldest entries go first.
const (
	recentEntries = 1024
	recentBytes   = 256 << 10 // as they are stored
	recentDecoded = 16        // entries, each several times as large as it is stored
)

// committed is how far a lane has committed, where that is signalled, and the newest
// entries of its outbox, as they are stored: consumers that keep up do not ask the
// database for what the lane has just written.
type committed struct {
	position atomic.Int64 // stored with mu held
	told     listeners    // of commits that leave an outbox entry
	jobs     listeners    // of commits that write push jobs

	mu sync.Mutex

	// Guarded by mu.
	entries []recent // by ascending position
	bytes   int      // of entries, as they are stored
	from    int64    // each entry behind this position is in entries
}

// recent is an entry as it was stored. The newest are decoded once for all consumers,
// which do not write to them.
type recent struct {
	store.OutboxRow
	decoded *store.Entry // nil: not yet, or not any more
}

// begin forgets the entries: the lane stands at the position, and others may have written
// what is before it.
func (c *committed) begin(at int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries, c.bytes, c.from = nil, 0, at
	c.position.Store(at)
}

// move notes a commit, and tells the listeners what it has left for them.
func (c *committed) move(to int64, ch *store.Changes) {
	c.mu.Lock()
	c.position.Store(to)
	if ch.Outbox != nil && to > c.from {
		c.remember(store.OutboxRow{Position: to, Body: ch.Outbox})
	}
	c.mu.Unlock()
	if ch.Outbox != nil {
		c.told.signal()
	}
	if len(ch.PushJobs) > 0 || ch.Put != nil {
		c.jobs.signal()
	}
}

// remember adds an entry, in place of the oldest ones. Called with mu held.
func (c *committed) remember(row store.OutboxRow) {
	c.entries = append(c.entries, recent{OutboxRow: row})
	c.bytes += len(row.Body)
	if n := len(c.entries) - recentDecoded; n > 0 {
		c.entries[n-1].decoded = nil
	}
	n := 0
	for ; c.bytes > recentBytes || len(c.entries)-n > recentEntries; n++ {
		c.bytes -= len(c.entries[n].Body)
		c.from = c.entries[n].Position
	}
	clear(c.entries[:n])
	c.entries = c.entries[n:]
}

// recent is Lanes.Recent.
func (c *committed) recent(after int64, limit int) ([]store.Entry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if after < c.from {
		return nil, false
	}
	i, _ := slices.BinarySearchFunc(c.entries, after+1, func(r recent, at int64) int { return int(r.Position - at) })
	end := min(len(c.entries), i+limit)
	entries := make([]store.Entry, 0, end-i)
	for ; i < end; i++ {
		e, err := c.decode(i)
		if err != nil {
			return nil, false // the database says it as an error
		}
		entries = append(entries, *e)
	}
	return entries, true
}

// decode returns entry i. Called with mu held.
func (c *committed) decode(i int) (*store.Entry, error) {
	r := &c.entries[i]
	if r.decoded != nil {
		return r.decoded, nil
	}
	e, err := store.DecodeEntry(r.Position, r.Body)
	if err == nil && i >= len(c.entries)-recentDecoded {
		r.decoded = &e
	}
	return &e, err
}

// listeners are channels with room for one signal each.
type listeners struct {
	mu  sync.Mutex
	all []chan<- struct{} // guarded by mu
}

func (ls *listeners) add(c chan<- struct{}) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.all = append(ls.all, c)
}

func (ls *listeners) remove(c chan<- struct{}) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.all = slices.DeleteFunc(ls.all, func(l chan<- struct{}) bool { return l == c })
}

func (ls *listeners) signal() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.all {
		select {
		case l <- struct{}{}:
		default:
		}
	}
}
