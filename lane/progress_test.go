package lane_test

import (
	"testing"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/store"
)

// aTenure has a node own the only lane of st while work is done, from where the one before it has come to.
func aTenure(t *testing.T, st *store.Store, work func(take func(change.Change, change.Origin), from *change.Progress)) {
	t.Helper()
	owned := make(chan *change.Progress, 16)
	ls, err := lane.Open(t.Context(), lane.Config{Store: st, Publish: func(*bus.Batch) error { return nil }, Cluster: &lane.Cluster{
		Node: "a", Queue: true, Life: 10 * time.Second, Nodes: func() int { return 1 }, Left: func(int) {},
		Forward: func(_ int, _ change.Change, done change.Done) {
			done(change.Reply{}, chat.E(chat.Unavailable, "there is no other node"))
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
	work(func(c change.Change, from change.Origin) {
		t.Helper()
		answered := make(chan error, 1)
		if owned, here := ls.Offer(0, c, from, func(_ change.Reply, err error) { answered <- err }); !owned || !here {
			t.Fatalf("not taken: %v %v", owned, here)
		}
		if err := <-answered; err != nil {
			t.Fatal(err)
		}
	}, <-owned)
	ls.Leave()
	ls.Close()
}

// Changes that wrote nothing are written down as taken with the next ones that write: the
// next owner does not miss them in the queue.
func TestRepeatsAreTaken(t *testing.T) {
	st := teststore.Open(t, t.TempDir(), 1, nil)
	defer st.Close()
	aTenure(t, st, func(take func(change.Change, change.Origin), _ *change.Progress) {
		take(&change.Join{Room: "r", User: "ann", Create: &change.RoomSpec{Open: true}}, change.Origin{Sender: 1, Number: 1})
		take(&change.Send{Room: "r", User: "ann", Draft: chat.Draft{Text: "x", Key: "k"}}, change.Origin{Sender: 1, Number: 2})
		take(&change.Send{Room: "r", User: "ann", Draft: chat.Draft{Text: "x", Key: "k"}}, change.Origin{Sender: 1, Number: 3})
		take(&change.Send{Room: "r", User: "ann", Draft: chat.Draft{Text: "y", Key: "l"}}, change.Origin{Sender: 2, Number: 1})
	})
	aTenure(t, st, func(_ func(change.Change, change.Origin), from *change.Progress) {
		if from.Next[1] != 4 || from.Next[2] != 2 {
			t.Errorf("taken: %v", from.Next)
		}
	})
}

// A queue that has lost its end gives smaller numbers again: the next owner begins behind what
// was read of it since, and not where it once ended.
func TestQueueThatHasLostItsEnd(t *testing.T) {
	st := teststore.Open(t, t.TempDir(), 1, nil)
	defer st.Close()
	aTenure(t, st, func(take func(change.Change, change.Origin), _ *change.Progress) {
		take(&change.Nop{}, change.Origin{Sender: 1, Queue: 100})
		take(&change.Nop{}, change.Origin{Sender: 1, Queue: 86})
	})
	aTenure(t, st, func(_ func(change.Change, change.Origin), from *change.Progress) {
		if from.Queue != 86 {
			t.Errorf("the next owner begins behind %d", from.Queue)
		}
	})
}
