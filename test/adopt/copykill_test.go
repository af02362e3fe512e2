package adopt

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testdb"
)

// While a history is copied the move and the node are killed at any moment. In the end
// each row is in its room once, at the place that its time gives it.
func TestKilledWhileCopying(t *testing.T) {
	const n, inRooms = 30_000, 20
	s := newSite(t, testdb.MariaDB(t))
	// 7919 is prime: the order of the times is another one than that of the keys.
	s.exec(fmt.Sprintf(`INSERT INTO messages (room_id, user_id, message, created_at)
		SELECT seq %% %d, seq %% 7 + 1, LPAD(seq * 7919 %% %d, 6, '0'), '2020-01-01' + INTERVAL seq * 7919 %% %d SECOND FROM seq_1_to_%d`, inRooms, n, n, n))
	run := s.adopt("--follow", "polling")
	whole := func() bool {
		for room := range inRooms {
			if len(s.messages(room)) < n/inRooms {
				return false
			}
		}
		return true
	}
	for i := range 9 {
		time.Sleep(time.Duration(rand.IntN(500)) * time.Millisecond) // any moment
		if i%3 == 2 {
			s.node.Kill()
			s.startNode()
			continue
		}
		run.Kill()
		run = s.adopt("--follow", "polling")
	}
	s.await("the history", whole)
	s.await("the copy is over", func() bool { return s.phase() == "follow" })
	for room := range inRooms {
		if got := s.messages(room); len(got) != n/inRooms || !slices.IsSorted(got) || len(slices.Compact(got)) != n/inRooms {
			t.Errorf("room %d has %d messages, in order: %t", room, len(got), slices.IsSorted(got))
		}
	}
	s.must("compare")
	if t.Failed() {
		t.Logf("%s", run.Output())
	}
}
