package webhook

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// A node that is killed says of no user that they have gone. When it runs again, those who
// have not come back go offline; those who have, were never away.
func TestUsersOfAKilledNode(t *testing.T) {
	var mu sync.Mutex
	var events []string // kind and user
	host := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		var e struct {
			Type string
			Data struct{ User string }
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return // the node was killed
		}
		if err := json.Unmarshal(body, &e); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		mu.Lock()
		defer mu.Unlock()
		if s := e.Type + " " + e.Data.User; !slices.Contains(events, s) { // it may come twice
			events = append(events, s)
		}
	}))
	defer host.Close()
	heard := func(s string) bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.Contains(events, s)
	}
	dir, addr := t.TempDir(), testprocess.FreeAddr(t)
	n := program.StartWith(t, dir, addr, flags)
	n.Ready()
	roomtide(t, "webhook", "add", host.URL, "--kinds", "user.online,user.offline", "--insecure", "--data-dir", dir)
	ctx, cancel := context.WithTimeout(t.Context(), 3*limit)
	defer cancel()
	dial := func(user string) *client.Client {
		c, err := client.Dial(ctx, client.Options{URL: "ws://" + addr + "/ws", User: user})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	ann, bob := dial("ann"), dial("bob")
	defer bob.Close()
	await(t, "both are online", func() bool { return heard("user.online ann") && heard("user.online bob") })
	n.Kill()
	ann.Close()
	n = program.StartWith(t, dir, addr, flags)
	n.Ready()
	await(t, "who has not come back is offline", func() bool { return heard("user.offline ann") })
	if heard("user.offline bob") {
		t.Error("who has come back went offline")
	}
	bob.Close()
	await(t, "the last connection has ended", func() bool { return heard("user.offline bob") })
	if code := n.Terminate(limit); code != 0 {
		t.Errorf("the node ended with %d", code)
	}
}
