package feed

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/mover"
	"github.com/roomtide/roomtide/store"
)

// noHub is the hub of a node without connections.
type noHub struct{}

func (noHub) Listen(bus.Lane) error { return nil }
func (noHub) Reroute() error        { return nil }

// A feed has the events of a room in order though its slot moves from shard to shard, whichever
// of them is read first.
func TestOrderWhileARoomMoves(t *testing.T) {
	w := newWorld(t)
	m, err := mover.Open(t.Context(), mover.Config{Store: w.store, Lanes: w.lanes, Hub: noHub{}, Grace: time.Millisecond, Retry: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, _, err := w.Make(t.Context(), "f", false); err != nil {
		t.Fatal(err)
	}
	moves := room(0)
	slots := &store.SlotSet{}
	slots.Add(moves.Slot())
	var want []string
	for range 4 {
		for range 5 {
			want = append(want, fmt.Sprint(len(want)))
			w.do(&change.Send{Room: moves, User: "ann", Server: true, Draft: chat.Draft{Text: want[len(want)-1]}})
		}
		to := w.store.Shards()[1-w.store.ShardOf(moves.Slot())].Name()
		if _, err := m.Start(t.Context(), mover.Order{Slots: slots, To: []string{to}}); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			if all := m.Moves(0); all[len(all)-1].Phase == store.MoveDone {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("not moved: %+v", m.Moves(0))
			}
		}
	}
	for _, limit := range []int{1, 2, 7, 100} {
		var got []string
		for after := ""; len(got) < len(want); {
			page, err := w.Read(t.Context(), "f", "", limit, 0)
			if after != "" {
				var at place
				if at, err = parsePlace(after); err == nil { // without acknowledging anything: it is read four times
					page = &Page{}
					page.Events, err = w.page(t.Context(), at, limit, (&state{}).wants)
					page.Next = at.String()
				}
			}
			if err != nil || len(page.Events) == 0 {
				t.Fatalf("%d events behind %v: %v", len(page.Events), got, err)
			}
			for _, e := range page.Events {
				if e.Room == moves && e.Message != nil {
					got = append(got, e.Message.Text)
				}
			}
			after = page.Next
		}
		if !slices.Equal(got, want) {
			t.Errorf("by %d: %v", limit, got)
		}
	}
}
