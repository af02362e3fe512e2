package webhook_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/mover"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/webhook"
)

// noHub is the hub of a node without connections.
type noHub struct{}

func (noHub) Listen(bus.Lane) error { return nil }
func (noHub) Reroute() error        { return nil }

// roomIn returns a room whose slot a shard owns.
func (w *world) roomIn(shard int, begin string) chat.RoomID {
	for i := 0; ; i++ {
		if room := chat.RoomID(fmt.Sprint(begin, i)); w.store.ShardOf(room.Slot()) == shard {
			return room
		}
	}
}

// move moves the slot of a room to another shard, and returns when it is there.
func (w *world) move(room chat.RoomID, to int) {
	w.t.Helper()
	m, err := mover.Open(w.t.Context(), mover.Config{Store: w.store, Lanes: w.lanes, Hub: noHub{}, Grace: time.Millisecond, Retry: time.Millisecond})
	w.must(err)
	defer m.Close()
	slots := &store.SlotSet{}
	slots.Add(room.Slot())
	_, err = m.Start(w.t.Context(), mover.Order{Slots: slots, To: []string{w.store.Shards()[to].Name()}})
	w.must(err)
	w.await("the slot has moved", func() bool {
		all := m.Moves(0)
		return all[len(all)-1].Phase == store.MoveDone
	})
}

// The events of a room come in order though its slot moves to another shard and back while
// the endpoint does not answer for the first of them. Other rooms of the shard that it moves
// to do not wait for it.
func TestOrderWhileARoomMoves(t *testing.T) {
	w := newWorld(t, webhook.Config{})
	there := w.roomIn(1, "there")
	moves := w.roomIn(0, "moves")
	r := newReceiver(t)
	first := make(chan struct{})
	r.respond(func(_ http.ResponseWriter, _ *http.Request, e *event) bool {
		if e.Data.Room == moves && e.Data.Message == "1" {
			<-first
		}
		return true
	})
	w.add(r, webhook.Order{})
	var want []string
	post := func(n int) {
		t.Helper()
		for range n {
			text := fmt.Sprint(len(want) + 1)
			want = append(want, text)
			w.send(moves, text)
		}
	}
	post(3)
	w.move(moves, 1)
	post(3)
	w.send(there, "meanwhile")
	w.await("a room that has not moved", func() bool { return slices.Equal(r.texts(there), []string{"meanwhile"}) })
	w.move(moves, 0)
	post(3)
	if got := r.texts(moves); len(got) > 0 {
		t.Errorf("before the first event of the room came %v", got)
	}
	close(first)
	w.await("all events", func() bool { return len(r.texts(moves)) >= len(want) })
	if got := r.texts(moves); !slices.Equal(got, want) {
		t.Errorf("events of a room that moves: %v, want %v", got, want)
	}
}
