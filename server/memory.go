package server

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The runtime keeps the memory that a busy time needed, which after thousands of
// handshakes is more than what their connections hold. Under load it would be
// needed again at once, so it is returned only when the node has become quiet.
const (
	tidyCheck = 2 * time.Second  // how often is looked
	tidyPause = 15 * time.Second // between two collections
	tidyQuiet = 2 << 20          // bytes allocated between two looks, at most
	tidyWorth = 4 << 20          // bytes that make a collection worthwhile, and
	tidyShare = 8                // one part in so many of what lives
)

// tidy returns unused memory to the system when that is worthwhile, and collects
// more often while the node grows, until ctx ends. conns is how many connections
// there are.
func tidy(ctx context.Context, conns func() int) {
	t := time.NewTicker(tidyCheck)
	defer t.Stop()
	b := broom{seen: readHeap()}
	var g growth
	defer g.end()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			g.look(conns())
			if b.due(readHeap(), now) {
				debug.FreeOSMemory()
				b.used(readHeap(), now)
			}
		}
	}
}

// heap is what there is to decide by, in bytes.
type heap struct {
	allocated uint64 // since the process began
	living    uint64 // after the last collection
	spare     uint64 // taken from the system, and not living
}

func readHeap() heap {
	s := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(s)
	v := func(i int) uint64 { return s[i].Value.Uint64() }
	taken := v(2) + v(3) + v(4)
	return heap{allocated: v(0), living: v(1), spare: taken - min(v(1), taken)}
}

// broom remembers what decides when to tidy next.
type broom struct {
	seen heap
	last time.Time
	kept uint64 // what was spare after the last time: it cannot be returned
}

// due reports whether it is worthwhile to tidy now.
func (b *broom) due(h heap, now time.Time) bool {
	quiet := h.allocated-b.seen.allocated <= tidyQuiet
	b.seen = h
	return quiet && now.Sub(b.last) >= tidyPause && h.spare >= b.kept+max(tidyWorth, h.living/tidyShare)
}

// used notes how the heap is after tidying.
func (b *broom) used(h heap, now time.Time) { b.seen, b.last, b.kept = h, now, h.spare }
