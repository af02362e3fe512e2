package chaos

import (
	"slices"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testcluster"
	"github.com/roomtide/roomtide/store"
)

// moveSlots has one node alone, which is the way to do it, move rooms to another shard while
// it or a database is killed. What waits in the queue meanwhile, as a database was down when
// all nodes died, is then of other lanes than those it was appended for.
func (r *run) moveSlots() int {
	s, name := r.anySQL(), r.anyNode()
	s.Kill()
	r.wait(2 * time.Second)
	for _, n := range testcluster.Names {
		r.c.KillNode(n)
	}
	s.Restart()
	r.c.StartAlone(name)
	moved := r.move(name, func() {
		switch r.rng.IntN(3) {
		case 0:
			r.c.KillNode(name)
			r.c.StartAlone(name)
		case 1:
			r.killSQL(time.Second)
		}
	})
	r.stop(name)
	for _, n := range testcluster.Names {
		r.startNode(n)
	}
	return moved
}

// moveWhileNodesRun moves rooms to another shard in the running cluster. A node or a database may be
// killed meanwhile, and the owner of a lane paused until others have taken it over.
func (r *run) moveWhileNodesRun() int {
	return r.move(r.anyNode(), func() {
		switch r.rng.IntN(5) {
		case 0, 1:
			r.killNode()
		case 2:
			r.killSQL(time.Second)
		case 3:
			r.pauseOwner()
		}
	})
}

// move moves some rooms to a shard that does not have them, and returns how many. Something
// else happens as soon as it has begun.
func (r *run) move(node string, meanwhile func()) int {
	dir := r.c.Dir(node)
	before := len(program.Moves(r.t, dir))
	to, rooms := r.target(dir)
	rooms = rooms[:min(long(2, 1), len(rooms))]
	slots := &store.SlotSet{}
	for _, room := range rooms {
		slots.Add(room.Slot())
	}
	ended := make(chan struct{})
	var said string
	go func() {
		defer close(ended)
		// It fails when the node dies.
		_, said, _ = program.Run(r.t.Context(), "shards", "move", "--data-dir", dir, "--yes", "--slots", slots.String(), "--to", to, "--keep", "0")
	}()
	for len(program.Moves(r.t, dir)) == before {
		select {
		case <-ended:
			if len(program.Moves(r.t, dir)) == before {
				r.t.Fatalf("rooms are not moved to %s: %s", to, said)
			}
		case <-time.After(5 * time.Millisecond):
		}
	}
	meanwhile()
	<-ended
	if how := program.AwaitMoves(r.t, dir, 3*patience); how != "done" {
		r.t.Errorf("the move to %s: %s", to, how)
	}
	return len(rooms)
}

// target is a shard, and the rooms that are elsewhere, in any order.
func (r *run) target(dir string) (to string, rooms []chat.RoomID) {
	var answer struct {
		Shards []struct {
			Name  string        `json:"name"`
			Slots store.SlotSet `json:"slots"`
		} `json:"shards"`
	}
	program.JSON(r.t, &answer, "shards", "list", "--json", "--data-dir", dir)
	r.rng.Shuffle(len(answer.Shards), func(i, j int) { answer.Shards[i], answer.Shards[j] = answer.Shards[j], answer.Shards[i] })
	for _, s := range answer.Shards {
		rooms = slices.DeleteFunc(slices.Clone(r.w.Rooms), func(room chat.RoomID) bool { return s.Slots.Has(room.Slot()) })
		if len(rooms) > 0 {
			to = s.Name
			break
		}
	}
	r.rng.Shuffle(len(rooms), func(i, j int) { rooms[i], rooms[j] = rooms[j], rooms[i] })
	return to, rooms
}
