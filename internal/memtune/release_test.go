package memtune

import (
	"testing"
	"time"
)

// Memory is returned after a busy time, and not during one, not for little, and
// not again for what could not be returned.
func TestMemoryReleaser(t *testing.T) {
	const mb = 1 << 20
	start := time.Now()
	m := memoryReleaser{last: heap{allocated: 10 * mb}}
	for _, step := range []struct {
		name string
		at   time.Duration
		heap heap
		due  bool
	}{
		{"busy", 2, heap{100 * mb, 20 * mb, 30 * mb, 0}, false},
		{"quiet", 4, heap{101 * mb, 20 * mb, 30 * mb, 0}, true},
		{"after that", 6, heap{101 * mb, 20 * mb, 12 * mb, 0}, false},
		{"busy again", 8, heap{200 * mb, 20 * mb, 30 * mb, 0}, false},
		{"too early", 10, heap{201 * mb, 20 * mb, 30 * mb, 0}, false},
		{"not much more than last time", 70, heap{201 * mb, 20 * mb, 15 * mb, 0}, false},
		{"much more", 72, heap{202 * mb, 20 * mb, 20 * mb, 0}, true},
		{"little of a large heap", 140, heap{202 * mb, 900 * mb, 100 * mb, 0}, false},
	} {
		now := start.Add(step.at * time.Second)
		if due := m.due(step.heap, now); due != step.due {
			t.Errorf("%s: %t", step.name, due)
		} else if due {
			m.released(heap{step.heap.allocated, step.heap.live, 12 * mb, 0}, now)
		}
	}
}

// The runtime has metrics of these names.
func TestReadHeap(t *testing.T) {
	h := readHeap()
	if h.allocated == 0 || h.spare == 0 || h.spare > 10<<30 {
		t.Errorf("%+v", h)
	}
}
