package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// starts is how many servers are started for a figure.
const starts = 5

// start measures how long a new server takes from the start of its process to
// the acknowledgement of a first message in a new room, which is on disk then,
// and how much memory it has once nothing happens any more.
func (r *Result) start(ctx context.Context, o options) error {
	var h histogram
	var n atomic.Int64
	defer r.during(func() string { return fmt.Sprintf("start %d of %d", n.Load(), starts) })()
	for i := range starts {
		n.Store(int64(i) + 1)
		if err := r.startOnce(ctx, &o, &h); err != nil {
			return err
		}
	}
	r.FirstReply = h.latency()
	return nil
}

func (r *Result) startOnce(ctx context.Context, o *options, h *histogram) (err error) {
	c, err := startChild(o, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	ws, err := c.ready(ctx, protos[r.Scenario.Proto])
	if err != nil {
		return err
	}
	defer ws.close()
	if _, err := ws.enter("user1", "room1"); err != nil {
		return err
	}
	if err := ws.command("message", 3, `"room":"room1","key":"first","message":"Hello"`); err != nil {
		return err
	}
	if _, err := ws.answer(3); err != nil {
		return err
	}
	h.add(time.Since(c.started))
	select {
	case <-time.After(r.Scenario.Duration / starts):
	case <-ctx.Done():
		return ctx.Err()
	}
	u, err := usageOf(c.cmd.Process.Pid)
	r.RSS = u.rss
	return err
}
