package testserver

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/outbox"
)

// Queue is a durable queue in memory before the lanes of a node. While it holds, it
// accepts messages, and nothing is decided. Safe for concurrent use.
type Queue struct {
	lanes  *lane.Lanes // set once
	outbox *outbox.Outbox

	// Guarded by mu.
	mu      sync.Mutex
	holding bool
	held    []*held
	number  uint64 // of changes
	entry   uint64 // of the queue
}

type held struct {
	offer func()
	done  change.Done
}

// Hold makes changes wait.
func (q *Queue) Hold() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.holding = true
}

// Waiting is how many changes wait.
func (q *Queue) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.held)
}

// Release decides what waits, in its order, and everything that comes.
func (q *Queue) Release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.holding = false
	for _, h := range q.held {
		h.offer()
	}
	q.held = nil
}

// Forget answers what waits as a node does that stops: Unavailable. The queue still has it.
func (q *Queue) Forget() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, h := range q.held {
		done := h.done
		h.done = func(change.Reply, error) {}
		done(change.Reply{}, &chat.Error{Kind: chat.Unavailable, Op: "testserver.forget"})
	}
}

// cluster is how the lanes of the node are owned: all of them, by this node alone.
func (q *Queue) cluster() *lane.Cluster {
	return &lane.Cluster{
		Node: "test", Life: time.Hour, Queue: true, Forward: q.forward,
		Owned: func(shard int, from *change.Progress) error {
			if from == nil {
				q.outbox.Stop(shard)
				return nil
			}
			return q.outbox.Start(context.Background(), shard)
		},
	}
}

func (q *Queue) forward(shard int, c change.Change, done change.Done) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.number++
	from := change.Origin{Sender: 1, Number: q.number}
	if !q.holding {
		q.lanes.Offer(shard, c, from, done)
		return
	}
	q.entry++
	end := change.Origin{Sender: 1, Queue: q.entry}
	h := &held{done: done}
	h.offer = func() {
		q.lanes.Offer(shard, c, from, h.done)
		q.lanes.Offer(shard, &change.Nop{}, end, func(change.Reply, error) {})
	}
	q.held = append(q.held, h)
	if send, ok := c.(*change.Send); ok && send.Accepted != nil {
		send.Accepted(change.Queued{Lane: shard, Entry: q.entry, Key: send.Draft.Key})
	}
}

// begin takes the lanes.
func (q *Queue) begin(t testing.TB, shards int) {
	t.Helper()
	q.lanes.Begin()
	for shard := range shards {
		for deadline := time.Now().Add(30 * time.Second); !q.lanes.Owns(shard); {
			if time.Now().After(deadline) {
				t.Fatalf("lane %d has no owner", shard)
			}
			time.Sleep(time.Millisecond)
		}
	}
}
