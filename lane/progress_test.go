package lane_test

import (
	"testing"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/lane"
)

// Changes that wrote nothing are written down as taken with the next ones that write: the
// next owner does not miss them in the queue.
func TestRepeatsAreTaken(t *testing.T) {
	st := teststore.Open(t, t.TempDir(), 1, nil)
	defer st.Close()
	tenure := func(work func(ls *lane.Lanes, from *change.Progress)) {
		owned := make(chan *change.Progress, 16)
		ls, err := lane.Open(t.Context(), lane.Config{Store: st, Publish: func(*bus.Batch) error { return nil }, Cluster: &lane.Cluster{
			Node: "a", Queue: true, Life: 10 * time.Second, Nodes: func() int { return 1 }, Left: func(int) {},
			Forward: func(_ int, _ change.Change, done change.Done) {
				done(change.Reply{}, chat.E(chat.Unavailable, "nobody"))
			},
			Owned: func(_ int, from *change.Progress) error {
				if from != nil {
					owned <- from
				}
				return nil
			},
		}})
		if err != nil {
			t.Fatal(err)
		}
		ls.Begin()
		work(ls, <-owned)
		ls.Leave()
		ls.Close()
	}
	tenure(func(ls *lane.Lanes, _ *change.Progress) {
		take := func(c change.Change, sender, number uint64) {
			t.Helper()
			answered := make(chan error, 1)
			if owned, here := ls.Offer(0, c, change.Origin{Sender: sender, Number: number}, func(_ change.Reply, err error) { answered <- err }); !owned || !here {
				t.Fatalf("not taken: %v %v", owned, here)
			}
			if err := <-answered; err != nil {
				t.Fatal(err)
			}
		}
		take(&change.Join{Room: "r", User: "ann", Create: &change.RoomSpec{Open: true}}, 1, 1)
		take(&change.Send{Room: "r", User: "ann", Draft: chat.Draft{Text: "x", Key: "k"}}, 1, 2)
		take(&change.Send{Room: "r", User: "ann", Draft: chat.Draft{Text: "x", Key: "k"}}, 1, 3)
		take(&change.Send{Room: "r", User: "ann", Draft: chat.Draft{Text: "y", Key: "l"}}, 2, 1)
	})
	tenure(func(_ *lane.Lanes, from *change.Progress) {
		if from.Next[1] != 4 || from.Next[2] != 2 {
			t.Errorf("taken: %v", from.Next)
		}
	})
}
