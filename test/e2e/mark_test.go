package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// Databases on a server are backed up by its own tools, as "roomtide backup" says; after
// they were put back and marked, clients with a place from before start over, and
// everything else is as it was.
func TestMarkedDatabases(t *testing.T) {
	for _, e := range testdb.Engines {
		t.Run(string(e), func(t *testing.T) {
			shard := []string{"--shard", testdb.Database(t, e)}
			dir, addr := t.TempDir(), testprocess.FreeAddr(t)
			n := program.StartWith(t, dir, addr, shard)
			n.Ready()
			ann := user(t, n, "ann")
			join(t, ann, "room1")
			for _, text := range []string{"one", "two", "three"} {
				if _, err := ann.Send(testContext(t), "room1", chat.Draft{Text: text}); err != nil {
					t.Fatal(err)
				}
			}
			before := placeIn(t, n, "bob", nil)
			if before.Rev == 0 || before.Seq != 3 {
				t.Fatalf("%+v", before)
			}
			here := append([]string{"--data-dir", dir}, shard...)
			_, errs, err := program.Run(testContext(t), append([]string{"backup", filepath.Join(dir, "b")}, here...)...)
			if err == nil || !strings.Contains(errs, "docs/operations.md") || !strings.Contains(errs, "restore --mark") {
				t.Errorf("a backup of a database on a server: %v, %s", err, errs)
			}
			if code := n.Terminate(10 * time.Second); code != 0 {
				t.Fatalf("the node ended with %d", code)
			}
			verb(t, append([]string{"restore", "--mark"}, here...)...)
			verb(t, append([]string{"check"}, here...)...)

			n = program.StartWith(t, dir, addr, shard)
			n.Ready()
			if now := placeIn(t, n, "bob", &before); now.Rev <= before.Rev+1<<30 || now.Seq != 3 {
				t.Errorf("a client that stood at %+v goes on at %+v", before, now)
			}
			back := user(t, n, "ann")
			if got := texts(t, back, "room1"); strings.Join(got, " ") != "one two three" {
				t.Errorf("%q", got)
			}
			join(t, back, "room1")
			if s, err := back.Send(testContext(t), "room1", chat.Draft{Text: "four"}); err != nil || s.Seq != 4 {
				t.Errorf("%+v %v", s, err)
			}
			if rooms, err := back.Rooms(testContext(t)); err != nil || len(rooms) != 1 {
				t.Errorf("%+v %v", rooms, err)
			}
		})
	}
}

// placeIn joins room1, after a place if there is one, and returns where the client
// stands then. With a place it fails unless the client starts over.
func placeIn(t *testing.T, n *testprocess.Node, name string, after *client.Position) client.Position {
	t.Helper()
	c := user(t, n, name)
	defer c.Close()
	joined, err := c.Join(testContext(t), "room1", client.JoinOptions{After: after})
	if err != nil {
		t.Fatal(err)
	}
	if after == nil {
		return joined.At
	}
	reset := false
	for {
		select {
		case ev := <-c.Events():
			reset = reset || ev.News == client.Reset
			if ev.News == client.CaughtUp {
				if !reset {
					t.Errorf("%s does not start over", name)
				}
				return ev.At
			}
		case <-time.After(20 * time.Second):
			t.Fatal("nothing happens")
		}
	}
}
