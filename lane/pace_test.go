package lane_test

import (
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// TestBatchesUnderLoadAreApart: behind a batch of eight changes the next one waits until 5 ms have
// passed since the first began; behind a smaller one, or later, it does not wait. Time is that of
// the bubble: commits take none of it.
func TestBatchesUnderLoadAreApart(t *testing.T) {
	const every = 5 * time.Millisecond
	for _, c := range []struct {
		name  string
		first int           // changes in the batch before
		later time.Duration // when the next change comes
		waits time.Duration
	}{
		{"one client that waits for its acks", 1, 0, 0},
		{"a few", 7, 0, 0},
		{"load", 8, 0, every},
		{"load, a little later", 32, 2 * time.Millisecond, 3 * time.Millisecond},
		{"load that is over", 32, every, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.join("r", "ann")
				time.Sleep(time.Second)
				w.sendTogether("r", "ann", c.first)
				time.Sleep(c.later)
				began := time.Now()
				w.must(send("r", "ann", "", "next"))
				if waited := time.Since(began); waited != c.waits {
					t.Errorf("waited %v, want %v", waited, c.waits)
				}
			})
		})
	}
}

// sendTogether sends a message, and behind it n that become one batch: while mu is held, the lane is
// busy with telling the first.
func (w *world) sendTogether(room chat.RoomID, user chat.UserID, n int) {
	w.t.Helper()
	w.mu.Lock()
	w.must(send(room, user, "", "first"))
	var outcomes sync.WaitGroup
	for i := range n {
		outcomes.Add(1)
		w.lanes.Submit(send(room, user, "", strconv.Itoa(i)), func(_ change.Reply, err error) {
			defer outcomes.Done()
			if err != nil {
				w.t.Error(err)
			}
		})
	}
	w.mu.Unlock()
	outcomes.Wait()
}
