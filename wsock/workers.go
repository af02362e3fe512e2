package wsock

import "runtime"

// maxIdle is how many workers wait for the next connection to read. A worker's
// stack has grown with the commands it carried, so it is good to keep some and
// bad to keep many.
var maxIdle = int32(4 * runtime.GOMAXPROCS(0))

// start lets a worker read c. It does not wait.
func (h *Handler) start(c *client) {
	select {
	case h.jobs <- c:
	default: // all are busy
		h.done.Go(func() { h.work(c) })
	}
}

// work reads c until it is parked or ends, then whoever comes next, while few
// workers wait.
func (h *Handler) work(c *client) {
	for {
		c.run()
		if h.idle.Add(1) > maxIdle {
			h.idle.Add(-1)
			return
		}
		select {
		case c = <-h.jobs:
			h.idle.Add(-1)
		case <-h.ctx.Done():
			return
		}
	}
}
