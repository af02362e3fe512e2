package relay

import (
	"slices"
	"sync"
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/queue/memqueue"
)

// Cursors are of the lane for which they were made: another lane, which has their slot by now, does
// not get them, whichever way they went.
func TestCursorsStayWithTheirLane(t *testing.T) {
	for _, queued := range []bool{false, true} {
		s, servers := startNATS(t, -1), memqueue.NewServers(1<<20)
		var mu sync.Mutex
		var got []int
		x := newNode(t, dial(t, s), "x", Config{Queue: memqueue.New(servers), Always: queued, Place: always(1)}, func(r *Relay) {
			r.cfg.Submit = func(lane int, c change.Change, _ change.Origin, done change.Done) Taken {
				if _, ok := c.(*change.Cursors); !ok {
					done(change.Reply{}, nil)
					return Took
				}
				mu.Lock()
				got = append(got, lane)
				mu.Unlock()
				if lane == 0 {
					return OtherMap
				}
				done(change.Reply{Changed: true}, nil)
				return Took
			}
		})
		x.serve(t, 0, true)
		x.serve(t, 1, true)
		if _, err := x.do(t, 0, &change.Cursors{Cursors: []change.Cursor{{Consumer: "feed:f", Position: 7}}}); chat.KindOf(err) != chat.Unavailable {
			t.Errorf("always by the queue %v: %v", queued, err)
		}
		mu.Lock()
		if slices.Contains(got, 1) || len(got) == 0 {
			t.Errorf("always by the queue %v: lanes %v have got it", queued, got)
		}
		mu.Unlock()
	}
}
