package relay

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/queue/memqueue"
)

// A sender that was cut off and forgotten, while the owner took from the durable queue what the
// sender had appended, hears that this is lost and repeats it.
func TestForgottenSenderHearsOfItsEntries(t *testing.T) {
	s, servers := startNATS(t, -1), memqueue.NewServers(1<<20)
	var clock atomic.Int64
	var cut atomic.Bool
	dropped := make(chan struct{}, 1)
	cable := func(r *Relay) {
		publish := r.publish
		r.publish = func(subject string, data []byte) error {
			ack := strings.Contains(subject, ".ack.")
			if !cut.Load() || !ack && !strings.Contains(subject, ".ch.") {
				return publish(subject, data)
			}
			if ack {
				signal(dropped)
			}
			return nil
		}
	}
	cut.Store(true)
	a := newNode(t, dial(t, s), "a", Config{Queue: memqueue.New(servers), Always: true}, cable)
	x := newNode(t, dial(t, s), "x", Config{
		Queue: memqueue.New(servers), Now: func() time.Time { return time.Unix(clock.Load(), 0) },
	}, cable)
	x.serve(t, 0, true)
	ch := a.forward(0, message("a", 1))
	<-dropped // the outcome
	clock.Add(120)
	cut.Store(false)
	if r, err := wait(t, ch); err != nil || r.Seq != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, got := range x.log() {
		if got.key != "a-1" {
			t.Errorf("taken with the key %s", got.key)
		}
	}
}

// What was read of a sender before it was forgotten is no hole, and is not taken twice. What it was
// refused is not taken for decided.
func TestQueueOfForgottenSender(t *testing.T) {
	tests := map[string]struct {
		how  Taken // of what comes before the silence
		read []uint64
		want []int
	}{
		"read before":    {Took, []uint64{2}, []int{1, 2}},
		"again":          {Took, []uint64{1, 2}, []int{1, 2}},
		"refused before": {OtherMap, []uint64{1, 2}, []int{1, 2}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var clock atomic.Int64
			n := newNode(t, dial(t, startNATS(t, -1)), "x", Config{
				Queue: memqueue.New(memqueue.NewServers(1 << 20)),
				Now:   func() time.Time { return time.Unix(clock.Load(), 0) },
			})
			n.owned[0] = true
			how := tt.how
			n.verify = func(int, chat.RoomID, int64) Taken { return how }
			owned := n.newTenure(0, &change.Progress{})
			owned.receive(queued(1, 1)) // directly
			how = Took
			clock.Add(120)
			for i, number := range tt.read {
				if err := owned.takeEntry(t.Context(), uint64(i+1), queued(1, number)); err != nil {
					t.Fatal(err)
				}
			}
			until(t, "the entries end", func() bool { return owned.reading.done.Load() == uint64(len(tt.read)) })
			if holes := testutil.ToFloat64(n.count.queueHoles); holes != 0 {
				t.Errorf("%v holes are reported", holes)
			}
			var got []int
			for _, a := range n.log() {
				got = append(got, a.n)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("taken: %v, not %v", got, tt.want)
			}
		})
	}
}
