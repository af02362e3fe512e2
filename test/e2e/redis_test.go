package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/internal/testredis"
)

// A user who joins is in room:{id}:users, and leaves it when their grace has passed;
// without Redis the node starts and serves, and Redis is told when it is there.
func TestWhoIsOnlineIsInRedis(t *testing.T) {
	t.Parallel()
	s := testredis.Start(t)
	s.Kill()
	n := program.StartWith(t, t.TempDir(), testprocess.FreeAddr(t), []string{"--redis", s.URL()})
	n.Ready()
	ann, bob := user(t, n, "ann"), user(t, n, "bob")
	join(t, ann, "lobby")
	join(t, bob, "lobby")
	if !strings.Contains(n.Stderr(), "redis does not answer") {
		t.Errorf("log: %s", n.Stderr())
	}
	s.Start()
	c := s.Client()
	wait := func(want ...string) {
		t.Helper()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		end := time.After(25 * time.Second)
		for {
			got := strings.Fields(s.Do(c, "SMEMBERS", "room:lobby:users"))
			if slices.Sort(got); slices.Equal(got, want) {
				return
			}
			select {
			case <-tick.C:
			case <-end:
				t.Fatalf("room:lobby:users has %v, want %v", got, want)
			}
		}
	}
	wait("ann", "bob")
	bob.Close()
	wait("ann")
	s.Do(c, "FLUSHALL")
	wait("ann")
}
