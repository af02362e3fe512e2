package jetstream

import (
	"context"
	"sync"
	"time"
)

// trims is what the lanes of this node do not need any more. A call to the servers for
// each lane and second is enough.
type trims struct {
	// Guarded by mu.
	mu     sync.Mutex
	wanted map[int]uint64 // by lane
	done   map[int]uint64
}

// Trim implements queue.Queue.
func (q *Queue) Trim(_ context.Context, lane int, number uint64) error {
	if q.ctx.Err() != nil {
		return errClosed("trim")
	}
	q.trims.mu.Lock()
	defer q.trims.mu.Unlock()
	q.trims.wanted[lane] = number
	return nil
}

// next returns what is to be trimmed.
func (t *trims) next() map[int]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := map[int]uint64{}
	for lane, number := range t.wanted {
		if number != t.done[lane] {
			next[lane] = number
		}
	}
	return next
}

func (t *trims) finished(lane int, number uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done[lane] = number
}

// trimAll trims now and then, and once more when the queue is closed.
func (q *Queue) trimAll() {
	tick := time.NewTicker(q.cfg.timing.trim)
	defer tick.Stop()
	for {
		select {
		case <-q.ctx.Done():
			last, cancel := context.WithTimeout(context.Background(), q.cfg.timing.trim)
			defer cancel()
			q.trimOnce(last)
			return
		case <-tick.C:
			q.trimOnce(q.ctx)
		}
	}
}

// trimOnce deletes the entries of each lane before the last that is not needed.
func (q *Queue) trimOnce(ctx context.Context) {
	for lane, number := range q.trims.next() {
		if ctx.Err() != nil || !q.cfg.NATS.IsConnected() {
			return
		}
		purged, err := q.purge(ctx, lane, number)
		if err != nil {
			q.failures.WithLabelValues("trim").Inc()
			q.cfg.Log.Debug("the queue is not trimmed", "lane", lane, "err", err)
			return // the next round tries again
		}
		q.trims.finished(lane, number)
		q.trimmed.Add(float64(purged))
	}
}

// purge deletes the entries of a lane before the one with the number, if that is there, and
// returns how many. A leader that was just elected may not have it at hand: then they go with
// the next entry that is not needed.
func (q *Queue) purge(ctx context.Context, lane int, number uint64) (int, error) {
	found, err := q.lookUp(ctx, lane, number)
	if err != nil || found != number {
		return 0, err
	}
	var done struct {
		Purged int `json:"purged"`
	}
	err = q.ask(ctx, "STREAM.PURGE", map[string]any{"filter": q.subject(lane), "seq": number}, &done)
	return done.Purged, err
}
