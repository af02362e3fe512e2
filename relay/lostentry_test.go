package relay

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/roomtide/roomtide/queue"
	"github.com/roomtide/roomtide/queue/memqueue"
)

// losing is a queue that loses the first entries after it has accepted them.
type losing struct {
	queue.Queue
	left atomic.Int64
}

func (q *losing) Append(ctx context.Context, lane int, data []byte) (uint64, error) {
	if q.left.Add(-1) >= 0 {
		return 1, nil
	}
	return q.Queue.Append(ctx, lane, data)
}

// What the durable queue has lost its sender repeats, when an entry behind it tells of the loss.
func TestSenderRepeatsWhatTheQueueHasLost(t *testing.T) {
	s, servers := startNATS(t, -1), memqueue.NewServers(1<<20)
	q := &losing{Queue: memqueue.New(servers)}
	q.left.Store(2)
	a := newNode(t, dial(t, s), "a", Config{Queue: q, Always: true})
	x := newNode(t, dial(t, s), "x", Config{Queue: memqueue.New(servers)})
	x.serve(t, 0, true)
	var accepted atomic.Int64
	var outcomes []chan result
	for i := 1; i <= 2; i++ { // an entry for each
		outcomes = append(outcomes, a.sends(i, i, &accepted)...)
		until(t, "it is accepted", func() bool { return accepted.Load() == int64(i) })
	}
	outcomes = append(outcomes, a.forward(0, message("a", 3)))
	answeredInOrder(t, outcomes)
	var keys []string
	for _, got := range x.log() {
		keys = append(keys, got.key)
	}
	if !slices.Equal(keys, []string{"a-3", "a-1", "a-2"}) {
		t.Errorf("taken: %v", keys)
	}
	if n := testutil.ToFloat64(x.count.queueHoles); n != 1 {
		t.Errorf("%v holes are reported", n)
	}
	if n := accepted.Load(); n != 2 {
		t.Errorf("%d were accepted", n)
	}
}
