package wsock

import (
	"runtime"

	"github.com/roomtide/roomtide/websocket"
)

// Commands run on workers, not on the goroutine that reads: a stack that has
// once carried a command stays grown, and there is one reader for each
// connection but only as many workers as commands at one moment. The reader
// waits meanwhile, so a connection's commands still run one after another.

// maxIdle is how many workers wait for the next command.
var maxIdle = int32(4 * runtime.GOMAXPROCS(0))

// handle runs c.frame on a worker and waits for it. It is false when that
// panicked.
func (c *client) handle(op websocket.Op, p []byte) bool {
	c.op, c.payload = op, p
	select {
	case c.h.jobs <- c:
	default: // nobody waits
		c.h.done.Go(func() { c.h.work(c) })
	}
	ok := <-c.turn
	c.payload = nil
	return ok
}

// work handles c's frame, then those of whoever comes next, while few wait.
func (h *Handler) work(c *client) {
	for {
		c.turn <- c.guard(func() { c.frame(c.op, c.payload) })
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
