package memtune

import (
	"runtime/metrics"
	"time"
)

// The runtime keeps the memory that a busy time needed, which after thousands of
// handshakes is more than what their connections hold. Under load it would be
// needed again at once, so it is returned only when the node has become quiet.
const (
	releasePause = 15 * time.Second // between two releases, at least
	quietBytes   = 2 << 20          // allocated between two checks, at most
	worthBytes   = 4 << 20          // that make a release worthwhile, and at least
	worthShare   = 8                // one part in so many of what is live
)

// heap is what the decision rests on, in bytes.
type heap struct {
	allocated uint64 // since the process began
	live      uint64 // after the last collection
	spare     uint64 // taken from the system, and not live
	collected uint64 // how often, since the process began
}

func readHeap() heap {
	s := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/gc/cycles/automatic:gc-cycles"},
	}
	metrics.Read(s)
	v := func(i int) uint64 { return s[i].Value.Uint64() }
	taken := v(2) + v(3) + v(4)
	return heap{allocated: v(0), live: v(1), spare: taken - min(v(1), taken), collected: v(5)}
}

// memoryReleaser decides when unused memory is returned to the system. Not safe
// for concurrent use.
type memoryReleaser struct {
	last       heap      // at the last check
	releasedAt time.Time // the last release
	kept       uint64    // spare after the last release: it cannot be returned
}

// due reports whether a release is worthwhile now.
func (m *memoryReleaser) due(h heap, now time.Time) bool {
	quiet := h.allocated-m.last.allocated <= quietBytes
	m.last = h
	return quiet && now.Sub(m.releasedAt) >= releasePause && h.spare >= m.kept+max(worthBytes, h.live/worthShare)
}

// released is called after a release, with the heap as it is then.
func (m *memoryReleaser) released(h heap, now time.Time) {
	m.last, m.releasedAt, m.kept = h, now, h.spare
}
