package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// A node that began with SQLite becomes one of two, as docs/cluster.md says, with its rooms,
// its key for tokens and its API keys.
func TestFromOneNodeToTwo(t *testing.T) {
	ns := newNodes(t, testdb.MariaDB(t), testdb.PostgreSQL(t))
	dir, addr := t.TempDir(), testprocess.FreeAddr(t)
	ns.dirs["a"] = dir
	n := program.Start(t, dir, addr)
	n.Ready()
	site := &site{t: t, rooms: []chat.RoomID{"lobby", "garden", "kitchen", "attic"}}
	first := user(t, n, "founder")
	for _, room := range site.rooms {
		join(t, first, room)
		for i := range 20 {
			if _, err := first.Send(testContext(t), room, chat.Draft{Text: fmt.Sprint("from the beginning ", i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	first.Close()
	shop := newBackEnd(t, n, dir)
	end := func() {
		t.Helper()
		if code := n.Terminate(10 * time.Second); code != 0 {
			t.Fatal(code)
		}
	}
	end()

	n = program.Start(t, dir, addr, ns.env[0]) // alone, and with the databases
	n.Ready()
	stop := site.open(n)
	shards := strings.Fields(strings.TrimPrefix(ns.env[0], "ROOMTIDE_SHARD="))
	names := nameOf(t, shards[0]) + "," + nameOf(t, shards[1])
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	out, errs, err := program.Run(ctx, "shards", "move", "--data-dir", dir, "--yes", "--from", "shard-0.db,shard-1.db,shard-2.db,shard-3.db", "--to", names, "--keep", "1")
	cancel()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, errs)
	}
	stop()
	move := func() (string, string, error) {
		return program.Run(testContext(t), "control", "move", "--data-dir", dir, "--shard", shards[0], "--shard", shards[1], "--to", nameOf(t, shards[1]))
	}
	if _, errs, err := move(); err == nil || !strings.Contains(errs, "in use by another roomtide") {
		t.Fatalf("while the node runs: %v %s", err, errs)
	}
	end()

	early := program.Start(t, dir, addr, append(ns.env, "ROOMTIDE_NODE=a")...)
	if code := early.Wait(20 * time.Second); code == 0 || !strings.Contains(early.Stderr(), "roomtide control move") {
		t.Fatalf("with a control database in a file: %d %s", code, early.Stderr())
	}
	if out, errs, err := move(); err != nil || strings.Contains(out, "settings") {
		t.Fatalf("%v\n%s%s", err, out, errs)
	}
	if _, errs, err := move(); err == nil || !strings.Contains(errs, "in a database already") {
		t.Fatalf("once more: %v %s", err, errs)
	}
	ns.dirs["b"] = t.TempDir()
	key, err := os.ReadFile(filepath.Join(dir, "token.key"))
	if err == nil {
		err = os.WriteFile(filepath.Join(ns.dirs["b"], "token.key"), key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	a := ns.start("a")
	b := ns.start("b")
	ns.until("b", "one lane each", func(l map[string]int) bool { return l["a"] == 1 && l["b"] == 1 })
	site.compare(a)
	site.compare(b)
	shop.n = b
	if got := shop.get("/v1/rooms/lobby/messages"); got.Status != http.StatusOK {
		t.Errorf("the API key of before: %+v", got)
	}
	for _, n := range []*testprocess.Node{a, b} {
		if code := n.Terminate(20 * time.Second); code != 0 {
			t.Errorf("a node ends with %d", code)
		}
	}
}
