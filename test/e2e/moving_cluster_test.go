package e2e

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/store"
)

// order asks a node to move the slots to the shard, at so many rows a second, and returns when all
// nodes have heard of it.
func (u *upgrade) order(via string, slots *store.SlotSet, to string, rate int) {
	u.t.Helper()
	before := len(program.Moves(u.t, u.dirs[via]))
	u.writing.Go(func() { // it shows how far the move is until it is over, or its node dies
		_, _, _ = program.Run(testContext(u.t), "shards", "move", "--data-dir", u.dirs[via], "--yes", "--slots", slots.String(), "--to", to, "--keep", "0", "--rate", strconv.Itoa(rate))
	})
	for name := range u.run {
		until(u.t, name+" has heard of the move", func() bool { return len(program.Moves(u.t, u.dirs[name])) > before })
	}
}

// Rooms go from MariaDB to PostgreSQL and back while three nodes run and their users talk:
// ordered on any node, paused, given up, with the node killed that works on it. No message is
// refused, and each comes once, in its order.
func TestRoomsMoveWhileNodesRun(t *testing.T) {
	u := &upgrade{nodes: newNodes(t, testdb.MariaDB(t), testdb.PostgreSQL(t)), addrs: map[string]string{}, every: 40 * time.Millisecond, done: make(chan struct{})}
	u.env = append(u.env, "ROOMTIDE_QUEUE_MODE=off")
	all := []string{"a", "b", "c"}
	slots := &store.SlotSet{}
	for _, name := range all {
		u.replace(name, 0)
		slots.Add(chat.RoomID("of " + name).Slot())
	}
	for _, name := range all {
		u.talk(name)
	}
	var answer struct {
		Shards []struct{ Name string }
	}
	program.JSON(t, &answer, "shards", "list", "--json", "--data-dir", u.dirs["a"])
	ended := func(via, want string) {
		t.Helper()
		if how := program.AwaitMoves(t, u.dirs[via], 4*time.Minute); how != want {
			t.Errorf("the move ends as %q on %s, want %q", how, via, want)
		}
	}
	say := func(via string, command ...string) {
		t.Helper()
		if _, errs, err := program.Run(testContext(t), slices.Concat([]string{"shards"}, command, []string{"--data-dir", u.dirs[via]})...); err != nil {
			t.Errorf("%v: %v %s", command, err, errs)
		}
	}
	for i, via := range all { // one of the shards has them all, then the other one
		u.order(via, slots, answer.Shards[i%2].Name, 0)
		ended(all[(i+1)%3], "done")
	}
	u.order("b", slots, answer.Shards[1].Name, 5) // for minutes
	say("c", "pause")
	say("a", "abort")
	ended("b", "aborted")
	for _, victim := range all { // one of them works on it
		u.order(victim, slots, answer.Shards[1].Name, 500) // for seconds
		u.run[victim].Kill()
		u.run[victim] = u.begin(victim, 0)
		u.run[victim].Ready()
		ended(all[0], "done")
		u.order(all[1], slots, answer.Shards[0].Name, 0)
		ended(victim, "done")
	}
	close(u.done)
	u.writing.Wait()
	u.reading.Wait()
	t.Logf("%d messages while their rooms were moved", u.sent.Load())
	for _, name := range all {
		if code := u.run[name].Terminate(30 * time.Second); code != 0 {
			t.Errorf("%s ends with %d", name, code)
		}
	}
	if out, errs, err := program.RunWith(testContext(t), u.env, "check", "--data-dir", u.dirs["a"]); err != nil {
		t.Errorf("%v: %s%s", err, out, errs)
	}
}
