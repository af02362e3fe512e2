package lane_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/store"
)

// Two lanes meet on one node while they are a pair, under traffic, also when that node goes;
// and are spread again behind it.
func TestPairMeets(t *testing.T) {
	s := newSeveral(t, 2)
	all := map[string]*lane.Lanes{}
	for _, name := range []string{"a", "b"} {
		all[name] = s.start(name)
	}
	spread := func(l map[string]int) bool { return l["a"] == 1 && l["b"] == 1 }
	s.until("they share", spread)
	stop := s.writers(4)
	for _, ls := range all {
		ls.Pair(0, 1)
	}
	owner := ""
	s.until("one has both", func(l map[string]int) bool {
		for name, n := range l {
			owner = name
			return n == 2
		}
		return false
	})
	all["c"] = s.start("c")
	all["c"].Pair(0, 1)
	s.stop(owner)
	s.until("another one has both", func(l map[string]int) bool {
		for name, n := range l {
			return n == 2 && name != owner
		}
		return false
	})
	for _, ls := range all {
		ls.Unpair()
	}
	s.until("they share again", func(l map[string]int) bool { return len(l) == 2 })
	stop()
}

// What was begun in a term is refused behind it, also when the node owns the lane again.
func TestTermIsOver(t *testing.T) {
	s := newSeveral(t, 1)
	a := s.start("a")
	s.until("a has the lane", func(l map[string]int) bool { return l["a"] == 1 })
	first, owned := a.Term(0)
	cursor := store.Cursor{Consumer: "mover", Position: 1}
	if err := a.SaveCursor(t.Context(), first, cursor); err != nil || !owned {
		t.Fatal(err, owned)
	}
	name := "a"
	s.cut.Store(&name)
	b := s.start("b")
	s.until("b has it", func(map[string]int) bool { return b.Owns(0) })
	s.until("a knows it", func(map[string]int) bool { _, owned := a.Term(0); return !owned })
	s.cut.Store(nil)
	s.stop("b")
	s.until("a has it again", func(map[string]int) bool { return a.Owns(0) })
	slots := slotSet("r")
	for what, err := range map[string]error{
		"a cursor": a.SaveCursor(t.Context(), first, cursor), "rows": a.PutRows(t.Context(), first, nil, &store.Rows{}, 1),
		"a barrier": a.Barrier(t.Context(), first, nil), "noting": a.Note(t.Context(), first, slots),
	} {
		if chat.KindOf(err) != chat.Unavailable {
			t.Errorf("%s of the first term: %v", what, err)
		}
	}
	second, _ := a.Term(0)
	if a.Notes(second, slots) || a.Notes(first, slots) {
		t.Error("the lane notes what the first term was told to")
	}
	if err := a.Note(t.Context(), second, slots); err != nil || !a.Notes(second, slots) {
		t.Error(err)
	}
}

// In a cluster everything that comes from senders waits while slots change hands. Behind it
// what has stayed is decided in its order, and what has left goes back, undecided.
func TestHoldInACluster(t *testing.T) {
	s := newSeveral(t, 2)
	a := s.start("a")
	s.until("a has both", func(l map[string]int) bool { return l["a"] == 2 })
	rooms := map[bool]chat.RoomID{} // by whether it moves; both of shard 0
	for n := 0; len(rooms) < 2; n++ {
		room := chat.RoomID(fmt.Sprint("room", n))
		if s.store.ShardOf(room.Slot()) == 0 && rooms[len(rooms) == 0].Slot() != room.Slot() {
			rooms[len(rooms) == 0] = room
		}
	}
	for _, room := range rooms {
		if _, err := a.Do(t.Context(), &change.Join{Room: room, User: "ann", Create: &change.RoomSpec{Open: true}, Own: true}); err != nil {
			t.Fatal(err)
		}
	}
	version := s.store.MapVersion()
	slots := slotSet(rooms[true])
	a.Hold(slots, 0, 1)
	type result struct {
		moves bool
		seq   chat.Seq
		err   error
	}
	results := make(chan result, 20)
	for n := range 20 {
		moves := n%2 == 0
		from := change.Origin{Sender: 1, Number: uint64(n + 1), Map: version}
		owned, here := a.Offer(0, send(rooms[moves], "ann", fmt.Sprint(n), "text"), from, func(r change.Reply, err error) { results <- result{moves, r.Seq, err} })
		if !owned || !here {
			t.Fatal(owned, here)
		}
	}
	term, _ := a.Term(0)
	if err := a.Barrier(t.Context(), term, nil); err != nil || a.Held() != 20 || len(results) > 0 {
		t.Fatalf("%v, %d wait, %d were decided", err, a.Held(), len(results))
	}
	if err := s.store.Assign(t.Context(), slots, 1, version); err != nil {
		t.Fatal(err)
	}
	a.Release()
	last := chat.Seq(0)
	for range 20 {
		switch r := <-results; {
		case r.moves && !errors.Is(r.err, change.ErrMoved):
			t.Errorf("of the room that has moved: %+v", r)
		case r.moves:
		case r.err != nil || r.seq != last+1:
			t.Errorf("behind %d: %+v", last, r)
		default:
			last++
		}
	}
	// What was routed before the slot came is refused by the lane that has it now.
	for byMap, want := range map[int64]bool{version: false, version + 1: true} {
		c := send(rooms[true], "ann", fmt.Sprint("by ", byMap), "text")
		_, here := a.Offer(1, c, change.Origin{Sender: 1, Number: 100, Map: byMap}, func(change.Reply, error) {})
		if here != want {
			t.Errorf("by map %d: taken %v", byMap, here)
		}
	}
}

// A node that takes over the source of a move makes the flip of the owner before it fail.
func TestNewOwnerConfirmsTheMap(t *testing.T) {
	s := newSeveral(t, 2)
	move := store.Move{ID: 1, Slots: *slotSet("r"), From: s.store.Shards()[0].Name(), To: s.store.Shards()[1].Name(), Phase: store.MoveHolding}
	if err := s.store.Control.SaveMove(t.Context(), move.Encode(), nil); err != nil {
		t.Fatal(err)
	}
	seen := s.store.MapVersion() // by an owner that is paused now
	a := s.start("a")
	s.until("a has both", func(l map[string]int) bool { return l["a"] == 2 })
	if err := s.store.Assign(t.Context(), &move.Slots, 1, seen); chat.KindOf(err) != chat.Conflict {
		t.Errorf("the slots change hands behind a new owner: %v", err)
	}
	if term, _ := a.Term(0); !a.Notes(term, &move.Slots) {
		t.Error("the new owner does not name what it writes")
	}
}
