package webhook

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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

// A feed that is made with users tells of them, and of their going as soon as the setting says.
func TestUsersInAFeed(t *testing.T) {
	dir, addr := t.TempDir(), testprocess.FreeAddr(t)
	n := program.StartWith(t, dir, addr, append([]string{"--webhooks-offline-after", "1s"}, flags...))
	n.Ready()
	key := roomtide(t, "key", "add", "host", "--scope", "adopt", "--data-dir", dir)
	feed := func(method, path, body string, answer any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+"/v1/feeds/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(answer); err != nil || resp.StatusCode >= 300 {
			t.Fatalf("%s %s: %s, %v", method, path, resp.Status, err)
		}
	}
	var at struct {
		Next  string
		Users bool
	}
	if feed("PUT", "visits", `{"users":true}`, &at); !at.Users {
		t.Error("the feed has no users")
	}
	next := func(kind string) (when time.Time) {
		t.Helper()
		await(t, kind, func() bool {
			var page struct {
				Next   string
				Events []struct {
					Type      string
					Timestamp time.Time
					Data      struct{ User string }
				}
			}
			feed("GET", "visits?wait=5&after="+at.Next, "", &page)
			at.Next = page.Next
			for _, e := range page.Events {
				if e.Type != kind || e.Data.User != "ann" {
					t.Errorf("%+v, want %s of ann", e, kind)
				}
				when = e.Timestamp
			}
			return !when.IsZero()
		})
		return when
	}
	ann, err := client.Dial(t.Context(), client.Options{URL: "ws://" + addr + "/ws", User: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	next("user.online")
	closed := time.Now()
	ann.Close()
	if took := next("user.offline").Sub(closed); took < 900*time.Millisecond || took > 14*time.Second {
		t.Errorf("offline after %v, want one second and little more", took)
	}
	if code := n.Terminate(limit); code != 0 {
		t.Errorf("the node ended with %d", code)
	}
}
