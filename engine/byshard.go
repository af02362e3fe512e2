package engine

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/limit"
	"github.com/roomtide/roomtide/store"
)

// mayYield is how many joins into rooms of one shard may wait for the user's own shard,
// several of which may be down: more than wait in one of them.
const mayYield = 8 << 10

// byShard bounds one kind of work for each shard by itself. What waits for a database
// that does not answer holds the permits of that shard and fills its queue, and those of no
// other. All shards together have about one permit for each processor.
type byShard struct {
	store  *store.Store
	limits []*limit.Limiter // by shard
}

func newByShard(cfg *Config, name string) *byShard {
	b := &byShard{store: cfg.Store}
	shards := cfg.Store.Shards()
	permits := (runtime.GOMAXPROCS(0) + len(shards) - 1) / len(shards)
	for _, s := range shards {
		b.limits = append(b.limits, limit.New(limit.Config{
			Name: name, Permits: permits, MaxYielded: mayYield, Labels: prometheus.Labels{"shard": s.Name()}, Registerer: cfg.Registerer,
		}))
	}
	return b
}

// of returns the Limiter of the shard that owns the slot now.
func (b *byShard) of(slot chat.Slot) *limit.Limiter { return b.limits[b.store.ShardOf(slot)] }
