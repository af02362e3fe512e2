package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
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
	degraded := func() bool {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.URL("/v1/rooms/lobby/online"), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Roomtide-User", "ann")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var answer struct {
			Count    int `json:"online_count"`
			Degraded bool
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK || answer.Count != 2 {
			t.Fatalf("%s: %+v, %v", resp.Status, answer, err)
		}
		return answer.Degraded
	}
	joined := func(name string) bool {
		t.Helper()
		c := user(t, n, name)
		defer c.Close()
		j, err := c.Join(testContext(t), chat.RoomID("joined-by-"+name), client.JoinOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return j.Degraded
	}
	if !degraded() || !joined("cid") {
		t.Error("answers without Redis are not said to be degraded")
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
	for end := time.Now().Add(25 * time.Second); degraded(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("still degraded")
		}
	}
	if joined("dan") {
		t.Error("a join is degraded after Redis was told")
	}
	bob.Close()
	wait("ann")
	s.Do(c, "FLUSHALL")
	wait("ann")
}
