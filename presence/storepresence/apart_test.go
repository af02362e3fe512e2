package storepresence_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// anyMap is a control database that takes every slot map.
type anyMap struct{ store.Control }

func (anyMap) SaveMap(context.Context, *store.Map) error { return nil }

// roomIn returns a room of the shard.
func (w *world) roomIn(shard int) chat.RoomID {
	for i := 0; ; i++ {
		if r := chat.RoomID(fmt.Sprint("room", i)); w.store.ShardOf(r.Slot()) == shard {
			return r
		}
	}
}

// wantIn expects the users in the entries of a room, in the shard.
func (w *world) wantIn(step string, shard int, room chat.RoomID, want ...chat.UserID) {
	w.Helper()
	entries, err := w.shards[shard].Online(w.Context(), room, 1000)
	var users []chat.UserID
	for _, e := range entries {
		users = append(users, e.User)
	}
	slices.Sort(users)
	if err != nil || !slices.Equal(users, want) {
		w.Errorf("%s: %s in shard %d has %q, %v; want %q", step, room, shard, users, err, want)
	}
}

// A shard that does not answer holds up no other.
func TestShardsAreApart(t *testing.T) {
	inBubble(t, func(w *world) {
		r := w.open("local")
		w.silent = 0
		silent, other := w.roomIn(0), w.roomIn(1)
		r.Persist(append(on(silent, "ann"), on(other, "ann")...))
		w.pass(2*period + time.Second)
		w.wantIn("written", 1, other, "ann")
		for i, user := range []chat.UserID{"bob", "cid", "zoe"} {
			r.Persist(append(on(silent, user), on(other, user)...))
			w.pass(2 * period)
			w.wantIn(fmt.Sprint("round ", i), 1, other, append([]chat.UserID{"ann"}, []chat.UserID{"bob", "cid", "zoe"}[:i+1]...)...)
		}
		w.wantIn("silent", 0, silent)
		w.wantMetrics("silent", 4, 0, 0)
		r.Persist(off(silent, "zoe")) // waits in its part, and is taken back there
		w.wantMetrics("zoe left", 3, 1, 0)
		w.mu.Lock()
		w.silent = -1
		w.mu.Unlock()
		w.release()
		w.wantIn("the first answer", 0, silent, "ann")
		w.pass(2*period + time.Second)
		w.wantIn("all of it", 0, silent, "ann", "bob", "cid")
		w.wantMetrics("all of it", 0, 1, 0)
	}, "local")
}

// What waits for a room that is moved goes to its new shard, and not before what the old
// one is still writing.
func TestMovedRoom(t *testing.T) {
	inBubble(t, func(w *world) {
		r := w.open("local")
		room := w.roomIn(0)
		w.silent = 0
		r.Persist(on(room, "ann"))
		w.pass(2 * period) // it is being written
		r.Persist(on(room, "bob"))
		var slots store.SlotSet
		slots.Add(room.Slot())
		if err := w.store.Assign(w.Context(), &slots, 1, w.store.MapVersion()); err != nil {
			t.Fatal(err)
		}
		r.Persist(off(room, "ann"))
		if users, n, err := r.Online(w.Context(), room, 10); err != nil || n != 1 || users[0] != "bob" {
			t.Errorf("moved: %v of %d, %v", users, n, err)
		}
		w.pass(5 * period)
		w.wantIn("the old shard is silent", 1, room)
		w.mu.Lock()
		w.silent = -1
		w.mu.Unlock()
		w.release()
		w.wantIn("the old shard has answered", 0, room, "ann")
		w.pass(2*period + time.Second)
		w.wantIn("the new shard", 1, room, "bob")
		w.wantMetrics("in the end", 0, 0, 0)
	}, "local")
}
