// Package storepresence keeps in the store who is online: the answer of last
// resort, for when the presence driver cannot answer.
//
// Changes are written when they are 20 to 40 seconds old. Most concern users who
// are back by then, after a network or a proxy has failed and cut thousands of
// connections: a change that is undone meanwhile is not written at all.
//
// A change that cannot be written is written again every 20 seconds. What waits is bounded
// by the users in rooms: a newer change of one takes the place of the older.
package storepresence

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/presence"
	"github.com/roomtide/roomtide/store"
)

// Config is how a Record is made. Node, Store, Submit and Nodes are required.
type Config struct {
	Node  string       // this node's name
	Store *store.Store // is read; all writing goes through Submit

	// Submit hands changes of one shard to its lane and does not block. It calls
	// done with the outcome, once, from any goroutine, also before it returns.
	// Changes of a shard are written in the order in which they were submitted.
	Submit func(shard int, changes []store.OnlineChange, done func(error))

	// Nodes returns the nodes that are alive (cluster.Node.Seen). What other nodes
	// have written does not count.
	Nodes func(ctx context.Context) ([]string, error)

	Log        *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil registers nothing
}

// Record is a presence.Record. Safe for concurrent use.
type Record struct {
	// Set once.
	cfg     Config
	metrics *metrics
	stop    context.CancelFunc

	running sync.WaitGroup

	mu sync.Mutex

	// Guarded by mu.
	parts   []*part // by shard
	version int64   // of the slot map by which rooms are in parts
}

var _ presence.Record = (*Record)(nil)

// New makes a Record and starts its goroutines, one for each shard; Close ends them. What an earlier life
// of this node has written is removed, as soon as the lanes take it.
func New(cfg Config) *Record {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	r := &Record{cfg: cfg, version: cfg.Store.MapVersion()}
	for range cfg.Store.Shards() {
		r.parts = append(r.parts, &part{})
	}
	r.metrics = newMetrics(cfg.Registerer, r)
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	for shard := range r.parts {
		cleared := r.clear(shard)
		r.running.Go(func() { r.run(ctx, shard, cleared) })
	}
	return r
}

// clear removes every entry of this node in a shard. The channel has the outcome.
func (r *Record) clear(shard int) <-chan error {
	done := make(chan error, 1)
	entries := []store.OnlineChange{{OnlineEntry: store.OnlineEntry{Node: r.cfg.Node}}}
	r.cfg.Submit(shard, entries, func(err error) {
		if err != nil {
			r.cfg.Log.Warn("presence: cannot remove what this node has recorded earlier", "shard", shard, "err", err)
		}
		done <- err
	})
	return done
}

// Persist implements presence.Record.
func (r *Record) Persist(cs []presence.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settle()
	for _, c := range cs {
		if r.parts[r.cfg.Store.ShardOf(c.Room.Slot())].add(c) {
			r.metrics.cancelled.Inc()
		}
	}
}

// maxEntries is how many entries of one room are read at most.
const maxEntries = 10_000

// Online implements presence.Record: entries of nodes that are alive, and over
// those of this node what is not written yet.
func (r *Record) Online(ctx context.Context, room chat.RoomID, limit int) ([]chat.UserID, int, error) {
	// What is not written is read first: a change that is written meanwhile is then
	// in both, not in neither.
	own := r.pending(room)
	alive, err := r.cfg.Nodes(ctx)
	if err != nil {
		return nil, 0, err
	}
	entries, err := r.cfg.Store.Room(room).Online(ctx, room, maxEntries)
	if err != nil {
		return nil, 0, err
	}
	var users []chat.UserID
	for _, e := range entries {
		if _, changed := own[e.User]; slices.Contains(alive, e.Node) && !(changed && e.Node == r.cfg.Node) {
			users = append(users, e.User)
		}
	}
	for user, on := range own {
		if on {
			users = append(users, user)
		}
	}
	slices.Sort(users)
	users = slices.Compact(users)
	return users[:min(max(limit, 0), len(users))], len(users), nil
}

// pending returns the changes of a room that are not written yet, the newest of
// each user.
func (r *Record) pending(room chat.RoomID) map[chat.UserID]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settle()
	all := map[chat.UserID]bool{}
	for _, p := range r.parts { // of one that had the room before it was moved
		maps.Copy(all, p.flushing[room])
	}
	p := r.parts[r.cfg.Store.ShardOf(room.Slot())]
	maps.Copy(all, p.returned[room])
	maps.Copy(all, p.aged[room])
	maps.Copy(all, p.recent[room])
	return all
}

// Close ends the writing and returns when it has ended. What is not written yet is
// lost: the node is about to end, so that its entries do not count any more soon,
// and are removed when it starts again. Close may be called again.
func (r *Record) Close() {
	r.stop()
	r.running.Wait()
}

// changes are whether users of rooms are online. No room in it is empty.
type changes map[chat.RoomID]map[chat.UserID]bool

func (cs changes) add(c presence.Change) {
	users := cs[c.Room]
	if users == nil {
		users = map[chat.UserID]bool{}
		cs[c.Room] = users
	}
	users[c.User] = c.On
}

// cancel removes the opposite of c, and reports whether it was there.
func (cs changes) cancel(c presence.Change) bool {
	on, there := cs[c.Room][c.User]
	if !there || on == c.On {
		return false
	}
	if delete(cs[c.Room], c.User); len(cs[c.Room]) == 0 {
		delete(cs, c.Room)
	}
	return true
}

// over returns the changes of both; of two of one user, these count. It may change either.
func (cs changes) over(older changes) changes {
	if len(older) == 0 {
		return cs
	}
	for room, users := range cs {
		if older[room] == nil {
			older[room] = users
			continue
		}
		maps.Copy(older[room], users)
	}
	return older
}

func (cs changes) len() (n int) {
	for _, users := range cs {
		n += len(users)
	}
	return n
}
