package adopt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testprocess"
)

// The move is killed behind a write into the old table that its state does not know of yet,
// and the same message is changed once more before it runs again: that change counts. Also
// when the state is lost nothing is there twice.
func TestKilledBehindAWrite(t *testing.T) { onEach(t, killedBehindAWrite) }

func killedBehindAWrite(t *testing.T, s *site) {
	edit := func(seq, text string) {
		t.Helper()
		if _, err := s.call("PATCH", "/v1/rooms/7/messages/"+seq, []byte(`{"message":"`+text+`"}`)); err != nil {
			t.Fatal(err)
		}
	}
	both := func(want ...string) {
		t.Helper()
		s.await("both sides are the same", func() bool { return same(s.messages(7), want) && same(s.rows(7), want) })
		for range 2 {
			s.must("compare")
		}
	}
	if err := s.say(7, 1, "the old way"); err != nil {
		t.Fatal(err)
	}
	run := s.adopt()
	s.await("history", func() bool { return len(s.messages(7)) == 1 })
	run.Kill()

	run = s.adoptUntil("mirror-written", 1)
	edit("1", "edited")
	ends(t, run, "mirror-written")
	edit("1", "edited again")
	run = s.adopt()
	both("edited again")
	run.Kill()

	run = s.adoptUntil("mirror-written", 1)
	if err := s.post(7, 2, "the new way", "k"); err != nil {
		t.Fatal(err)
	}
	ends(t, run, "mirror-written")
	edit("2", "and edited")
	run = s.adopt()
	both("edited again", "and edited")
	run.Kill()

	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(filepath.Join(s.dir, "adopt.state"+suffix)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if err := s.say(7, 1, "meanwhile"); err != nil {
		t.Fatal(err)
	}
	s.adopt()
	both("edited again", "and edited", "meanwhile")
}

// ends waits for a process that is killed by itself.
func ends(t *testing.T, run *testprocess.Process, point string) {
	t.Helper()
	select {
	case <-run.Ended():
	case <-time.After(patience):
		t.Fatalf("it goes on: %s", run.Output())
	}
	if !strings.Contains(run.Output(), "crashpoint: "+point) {
		t.Errorf("it has ended otherwise: %s", run.Output())
	}
}
