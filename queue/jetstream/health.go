package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/roomtide/roomtide/chat"
)

// nearlyFull is the part of MaxBytes beyond which Err says so.
const nearlyFull = 0.8

// health is what the last looks at the stream have shown.
type health struct {
	alone atomic.Bool // it was logged that there is one replica

	bytes, messages, current atomic.Int64 // as last seen

	// Owned by watch, before it by Open.
	since map[string]time.Time // replicas that are behind, and since when
	short int                  // looks in a row that have found fewer entries than there were
	found bool                 // the stream was there at a look

	mu  sync.Mutex
	err error // guarded by mu
}

// Err implements queue.Queue.
func (q *Queue) Err() error {
	if q.ctx.Err() != nil {
		return errClosed("health")
	}
	q.health.mu.Lock()
	defer q.health.mu.Unlock()
	return q.health.err
}

// set reports whether it has changed what Err says.
func (h *health) set(err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	changed := fmt.Sprint(err) != fmt.Sprint(h.err)
	h.err = err
	return changed
}

// watch looks at the stream now and then, until Close. It makes a stream that is gone.
func (q *Queue) watch() {
	tick := time.NewTicker(q.cfg.timing.look)
	defer tick.Stop()
	for {
		select {
		case <-q.ctx.Done():
			return
		case <-tick.C:
		}
		newest := q.newest.Load()
		ctx, cancel := context.WithTimeout(q.ctx, q.cfg.timing.answer)
		info, err := q.info(ctx)
		cancel()
		if errors.Is(err, js.ErrStreamNotFound) {
			if q.health.found { // else the servers were not together until now
				q.cfg.Log.Error("THE STREAM OF THE QUEUE IS GONE: what waited in it is lost; it is made anew", "stream", q.name)
			}
			info, err = q.establish(q.ctx)
		}
		if q.ctx.Err() != nil {
			return
		}
		if err != nil {
			if chat.KindOf(err) == chat.Internal {
				err = explain("health", err)
			}
			q.health.current.Store(0)
			if q.health.set(err) {
				q.cfg.Log.Warn("the queue does not answer", "err", err)
			}
			continue
		}
		q.look(info, newest)
	}
}

// look notes what the stream is like, and what is wrong with it. Newest is the largest
// number that was known before it was asked.
func (q *Queue) look(info *js.StreamInfo, newest uint64) {
	h := &q.health
	h.found = true
	h.bytes.Store(int64(info.State.Bytes))
	h.messages.Store(int64(info.State.Msgs))
	err := q.behind(info, time.Now())
	if newest <= info.State.LastSeq {
		h.short = 0
	} else {
		h.short++ // a leader that was just elected may not have all of them at hand
	}
	switch {
	case h.short > 1:
		// Numbers that were given are given again: what a reader takes for decided may not be.
		err = wrong(q.name, fmt.Sprintf("the queue has lost its end: it stands at %d and was at %d; entries that were accepted are lost", info.State.LastSeq, newest))
	case err == nil && info.Config.MaxBytes > 0 && float64(info.State.Bytes) > nearlyFull*float64(info.Config.MaxBytes):
		err = wrong(q.name, fmt.Sprintf("the queue is nearly full: %d of %d bytes; raise queue.mib, or see why nothing is taken from it", info.State.Bytes, info.Config.MaxBytes))
	}
	if q.health.set(err) {
		if err != nil {
			q.cfg.Log.Error("the queue is not well", "err", err)
		} else {
			q.cfg.Log.Info("the queue is well again")
		}
	}
}

// behind counts the replicas that are current, and returns an error if one has not been
// for long: a server whose disk was full stays behind until it is started again.
func (q *Queue) behind(info *js.StreamInfo, now time.Time) error {
	h := &q.health
	current := int64(1)
	if info.Cluster == nil {
		h.current.Store(current)
		return nil
	}
	var err error
	seen := map[string]time.Time{}
	for _, r := range info.Cluster.Replicas {
		if r.Current && !r.Offline {
			current++
			continue
		}
		since, ok := h.since[r.Name]
		if !ok {
			since = now
		}
		seen[r.Name] = since
		if now.Sub(since) >= q.cfg.timing.lag {
			what := "does not catch up: look at its log and its disk, and start it again"
			if r.Offline {
				what = "is away"
			}
			err = wrong(q.name, fmt.Sprintf("the NATS server %s, which has a replica of the queue, %s", r.Name, what))
		}
	}
	h.since = seen
	h.current.Store(current)
	return err
}

func wrong(stream, text string) error {
	return &chat.Error{Kind: chat.Unavailable, Op: "queue.health", Subject: stream, Text: text}
}
