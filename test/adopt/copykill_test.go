package adopt

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testdb"
)

// While a history is copied the move and the node are killed at any moment. In the end
// each row is in its room once, at the place that its time gives it, and answers the row
// before it.
func TestKilledWhileCopying(t *testing.T) {
	const n, inRooms = 30_000, 20
	s := newSite(t, testdb.MariaDB(t))
	s.exec("ALTER TABLE messages ADD reply_id INT")
	mapping := filepath.Join(s.dir, "adopt.toml")
	text, err := os.ReadFile(mapping)
	if err == nil {
		err = os.WriteFile(mapping, []byte(strings.Replace(string(text), `time = "created_at"`, "time = \"created_at\"\nreply = \"reply_id\"", 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	// 7919 is prime: the order of the times is another one than that of the keys. 7679 is its
	// inverse modulo n.
	s.exec(fmt.Sprintf(`INSERT INTO messages (id, room_id, user_id, message, created_at, reply_id)
		SELECT seq, seq %% %[2]d, seq %% 7 + 1, LPAD(seq * 7919 %% %[1]d, 6, '0'), '2020-01-01' + INTERVAL seq * 7919 %% %[1]d SECOND,
			(CAST(seq * 7919 %% %[1]d AS SIGNED) - %[2]d) * 7679 %% %[1]d FROM seq_1_to_%[1]d WHERE seq < %[1]d`, n, inRooms))
	run := s.adopt("--follow", "polling")
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
	s.await("the copy is over", func() bool { return s.phase() == "follow" })
	for room := range inRooms {
		got := s.all(room)
		texts, replies := make([]string, len(got)), 0
		for i, m := range got {
			if texts[i] = m.Text; m.ReplyTo == m.Seq-1 && m.ReplyTo > 0 {
				replies++
			}
		}
		want := n / inRooms
		if room == 0 {
			want-- // the row with the time 0 is left out
		}
		if len(got) != want || !slices.IsSorted(texts) || len(slices.Compact(texts)) != want || replies != want-1 {
			t.Errorf("room %d has %d messages, in order: %t, %d replies", room, len(got), slices.IsSorted(texts), replies)
		}
	}
	s.must("compare")
	if t.Failed() {
		t.Logf("%s", run.Output())
	}
}
