package roomcache

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Bounds of what is kept; the room used longest ago is evicted first.
const (
	defaultBytes = 64 << 20

	pageMessages = 100       // of the newest messages of a room
	pageBytes    = 64 << 10  // of the same
	roomBytes    = 256 << 10 // of a room, with members and messages
)

// Config is how a Cache is made.
type Config struct {
	Store      *store.Store          // required
	Bytes      int                   // of all that is kept, 64 MiB
	Registerer prometheus.Registerer // nil registers nothing
}

// Cache is what a node keeps of rooms. Safe for concurrent use.
type Cache struct {
	// Set once.
	store   *store.Store
	lanes   []*lane // by shard
	metrics *metrics
}

// New makes a Cache, which keeps nothing until Heard is called.
func New(cfg Config) *Cache {
	if cfg.Bytes <= 0 {
		cfg.Bytes = defaultBytes
	}
	c := &Cache{store: cfg.Store, metrics: newMetrics(cfg.Registerer)}
	shards := cfg.Store.Shards()
	for _, s := range shards {
		c.lanes = append(c.lanes, newLane(s, cfg.Bytes/len(shards), c.metrics))
	}
	return c
}

// Heard takes a batch of the bus, before it is given to clients (bus.Handler).
func (c *Cache) Heard(b *bus.Batch) {
	if b.Position != 0 && int(b.Lane) < len(c.lanes) {
		c.lanes[b.Lane].hear(b)
	}
}

// Look begins the answer to a question about a room: the returned Look reads all that was
// committed before the call, or more. It reads the position of the lane from the database if
// the room is kept. A Look is for one goroutine.
func (c *Cache) Look(ctx context.Context, room chat.RoomID) *Look {
	version := c.store.MapVersion() // before it is used: what is kept by an older map is dropped
	l := c.lanes[c.store.ShardOf(room.Slot())]
	k := &Look{lane: l, db: &l.db.Reader, id: room, version: version}
	if l.find(room, version) != nil && l.prove(ctx) {
		k.kept = l.find(room, version)
	}
	return k
}
