package poll

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
)

// maxIdle is how many workers wait for the next connection to read. A worker's
// stack has grown with what its connections asked for, so it is good to keep
// some and bad to keep many.
var maxIdle = int32(4 * runtime.GOMAXPROCS(0))

// Readers runs the Runners of connections: few goroutines for many connections
// where these can be parked, one for each where they cannot.
type Readers struct {
	// Set once.
	log    *slog.Logger
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	jobs   chan *Reader // to one of the workers

	once   sync.Once
	poller atomic.Pointer[Poller] // set by once; nil: no connection can be parked

	// Safe for any goroutine.
	idle atomic.Int32 // workers that wait
	work sync.WaitGroup
}

// NewReaders makes Readers. Close ends them.
func NewReaders(log *slog.Logger) *Readers {
	rs := &Readers{log: log, jobs: make(chan *Reader)}
	rs.ctx, rs.cancel = context.WithCancel(context.Background())
	return rs
}

// open returns the poller, which is made for the first connection that can be
// parked, or nil where there is none.
func (rs *Readers) open() *Poller {
	rs.once.Do(func() {
		p, err := New()
		if err != nil {
			rs.log.Info("idle connections cost a goroutine each here", "err", err)
		}
		rs.poller.Store(p)
	})
	return rs.poller.Load()
}

// Close ends the workers and returns when the Runners that run have returned.
// It comes when no connection is left that could be woken, and may come again.
func (rs *Readers) Close() {
	rs.cancel()
	rs.work.Wait()
	rs.once.Do(func() {}) // from here on there is no new one
	if p := rs.poller.Load(); p != nil {
		p.Close()
	}
}

// Closing returns how many connections whose peer has ended wait for their Runner
// to clean up now, and how many had to wait so far: that is throttled.
func (rs *Readers) Closing() (waiting int, deferred uint64) {
	if p := rs.poller.Load(); p != nil {
		return p.Closing()
	}
	return 0, 0
}

// start lets a worker run r.
func (rs *Readers) start(r *Reader) {
	select {
	case rs.jobs <- r:
	default: // all are busy
		rs.work.Go(func() { rs.run(r) })
	}
}

// run runs r until it is parked or ends, then the next one, while few workers wait.
func (rs *Readers) run(r *Reader) {
	for {
		r.runner.Run()
		if rs.idle.Add(1) > maxIdle {
			rs.idle.Add(-1)
			return
		}
		select {
		case r = <-rs.jobs:
			rs.idle.Add(-1)
		case <-rs.ctx.Done():
			return
		}
	}
}
