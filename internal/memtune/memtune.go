// Package memtune keeps the resident memory of a node near what its connections
// need: it collects garbage more often while their number grows beyond its maximum
// so far, less often while a small heap is under load, and returns unused memory to
// the system when the node is quiet.
//
// What was measured is in docs/decisions/0006-idle-connections.md.
package memtune

import (
	"context"
	"runtime/debug"
	"sync"
	"time"
)

const interval = 2 * time.Second // between two checks

// Start begins to tune the memory of the process. conns returns how many
// connections there are; it is called from one goroutine, about every two seconds.
// The returned function ends that and returns when it has ended. There may be
// several nodes in a process, as in tests.
func Start(conns func() int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { run(ctx, conns) })
	return func() {
		cancel()
		wg.Wait()
	}
}

func run(ctx context.Context, conns func() int) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	releaser := memoryReleaser{last: readHeap()}
	tuner := gcTuner{gc: &process}
	process.enter()
	defer process.leave()
	defer tuner.stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			tuner.update(conns())
			h := readHeap()
			process.fit(h.live, h.collected-releaser.last.collected)
			if releaser.due(h, now) {
				debug.FreeOSMemory()
				releaser.released(readHeap(), now)
			}
		}
	}
}
