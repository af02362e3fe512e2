package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// verb runs a verb that must succeed and returns what it printed.
func verb(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, err := program.Run(testContext(t), args...)
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", args, err, out, errs)
	}
	return out + errs
}

// texts are the messages of a room, by the client.
func texts(t *testing.T, c *client.Client, room chat.RoomID) (out []string) {
	t.Helper()
	ms, _, err := c.History(testContext(t), room, client.Page{})
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range ms {
		if m.Seq != chat.Seq(i+1) {
			t.Errorf("message %d of %s has the number %d", i+1, room, m.Seq)
		}
		out = append(out, m.Text)
	}
	return out
}

// nameOf is the name that a shard gets from its DSN.
func nameOf(t *testing.T, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host + u.Path
}

// roomsOf returns two rooms, the first of the lower half of slots, which the first of
// two shards owns, and one of the upper half.
func roomsOf() (rooms [2]chat.RoomID) {
	for i := 0; rooms[0] == "" || rooms[1] == ""; i++ {
		r := chat.RoomID(fmt.Sprint("room", i))
		rooms[int(r.Slot())*2/chat.Slots] = r
	}
	return rooms
}

// A node whose messages are in a database: kill -9, another start, a lost disk, and the
// verbs for a stopped node.
func TestServeOnDatabase(t *testing.T) {
	for _, e := range testdb.Engines {
		t.Run(string(e), func(t *testing.T) {
			dsn := testdb.Database(t, e)
			shard := []string{"--shard", dsn}
			dir, addr := t.TempDir(), testprocess.FreeAddr(t)
			n := program.StartWith(t, dir, addr, shard)
			n.Ready()
			ann := user(t, n, "ann")
			join(t, ann, "room1")
			want := []string{"one", "two 🌊", "three"}
			for i, text := range want {
				if _, err := ann.Send(testContext(t), "room1", chat.Draft{Text: text, Key: fmt.Sprint("k", i)}); err != nil {
					t.Fatal(err)
				}
			}
			n.Kill()
			n = program.StartWith(t, dir, addr, shard)
			n.Ready()
			if s, err := ann.Send(testContext(t), "room1", chat.Draft{Text: "three", Key: "k2"}); err != nil || s.Seq != 3 {
				t.Errorf("a message repeated after the crash: %+v, %v", s, err)
			}
			if got := texts(t, ann, "room1"); !slices.Equal(got, want) {
				t.Errorf("after the crash the room has %q", got)
			}
			if code := n.Terminate(10 * time.Second); code != 0 {
				t.Errorf("the node ended with %d", code)
			}
			if files, err := filepath.Glob(filepath.Join(dir, "*.db*")); err != nil || len(files) > 0 {
				t.Errorf("databases in the data dir: %v, %v", files, err)
			}

			dir = t.TempDir() // the disk of the node is lost
			n = program.StartWith(t, dir, addr, shard)
			n.Ready()
			if got := texts(t, ann, "room1"); !slices.Equal(got, want) {
				t.Errorf("on a new disk the room has %q", got)
			}
			key := strings.TrimSpace(verb(t, append([]string{"key", "add", "shop", "--data-dir", dir}, shard...)...))
			if list := verb(t, append([]string{"key", "list", "--data-dir", dir}, shard...)...); !strings.Contains(list, "shop") {
				t.Errorf("the key %s is not in the list:\n%s", key, list)
			}
			n.Terminate(10 * time.Second)
			name := nameOf(t, dsn)
			if out := verb(t, append([]string{"check", "--data-dir", dir}, shard...)...); !strings.Contains(out, name) || !strings.Contains(out, "is whole") {
				t.Errorf("check: %s", out)
			}
			if out := verb(t, append([]string{"rebuild", "--data-dir", dir}, shard...)...); !strings.Contains(out, name+": 1 memberships") {
				t.Errorf("rebuild: %s", out)
			}
		})
	}
}

// Two shards in the one database of a hoster, told apart by the prefix of their tables.
func TestTwoShardsInOneDatabase(t *testing.T) {
	for _, e := range testdb.Engines {
		t.Run(string(e), func(t *testing.T) {
			u, err := url.Parse(testdb.Database(t, e))
			if err != nil {
				t.Fatal(err)
			}
			password, _ := u.User.Password()
			u.User = url.User(u.User.Username())
			dir, addr := t.TempDir(), testprocess.FreeAddr(t)
			file := filepath.Join(dir, "password")
			if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			settings := fmt.Sprintf(`
[[shards]]
name = "first"
dsn = %q
password_file = %q
prefix = "a_"
max_connections = 2

[[shards]]
name = "second"
dsn = %q
password_env = "CHAT_PASSWORD"
prefix = "b_"
`, u, file, u)
			if err := os.WriteFile(filepath.Join(dir, "roomtide.toml"), []byte(settings), 0o600); err != nil {
				t.Fatal(err)
			}
			n := program.Start(t, dir, addr, "CHAT_PASSWORD="+password)
			n.Ready()
			ann := user(t, n, "ann")
			rooms := roomsOf()
			for _, r := range rooms {
				join(t, ann, r)
				if _, err := ann.Send(testContext(t), r, chat.Draft{Text: "to " + string(r)}); err != nil {
					t.Fatal(err)
				}
			}
			n.Kill()
			n = program.Start(t, dir, addr, "CHAT_PASSWORD="+password)
			n.Ready()
			for _, r := range rooms {
				if got := texts(t, ann, r); !slices.Equal(got, []string{"to " + string(r)}) {
					t.Errorf("%s has %q", r, got)
				}
			}
			if strings.Contains(n.Stderr(), password) {
				t.Errorf("the password is in the log:\n%s", n.Stderr())
			}
		})
	}
}

// A database goes away under a running node, and comes back. Its rooms say "unavailable"
// and go on by themselves; those of the other database are as fast as before.
func TestDatabaseGoesAway(t *testing.T) {
	for _, e := range testdb.Engines {
		for how, away := range map[string]func(*testdb.Server) (back func()){
			"stopped": func(s *testdb.Server) func() { s.Stop(); return func() { s.Restart() } },
			"killed":  func(s *testdb.Server) func() { s.Kill(); return func() { s.Restart() } },
			"halted":  func(s *testdb.Server) func() { s.Pause(); return s.Continue },
		} {
			t.Run(string(e)+" "+how, func(t *testing.T) {
				t.Parallel()
				goesAway(t, testdb.Start(t, e), away)
			})
		}
	}
}

func goesAway(t *testing.T, s *testdb.Server, away func(*testdb.Server) func()) {
	dir, addr := t.TempDir(), testprocess.FreeAddr(t)
	n := program.StartWith(t, dir, addr, []string{"--shard", s.Database(), "--shard", "sqlite:a.db"})
	n.Ready()
	rooms := roomsOf()
	there, here := rooms[0], rooms[1] // the control database is there too
	ann, raw := user(t, n, "ann"), dialRaw(t, n)
	if err := raw.ws.NetConn().SetDeadline(time.Now().Add(4 * time.Minute)); err != nil { // a halted server answers nothing
		t.Fatal(err)
	}
	raw.send(`{"type":"hello","id":1,"user":"bob"}`)
	raw.receive()
	for i, r := range rooms {
		join(t, ann, r)
		raw.send(fmt.Sprintf(`{"type":"join","id":%d,"room":%q}`, 2+i, r))
		if m := raw.receive(); m["type"] != "ack" {
			t.Fatalf("join: %v", m)
		}
		if _, err := ann.Send(testContext(t), r, chat.Draft{Text: "before"}); err != nil {
			t.Fatal(err)
		}
	}

	back := away(s)
	var sending sync.WaitGroup
	sending.Go(func() { // the client repeats it until it is stored
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if _, err := ann.Send(ctx, there, chat.Draft{Text: "meanwhile"}); err != nil {
			t.Errorf("what was sent while the database was away: %v", err)
		}
	})
	raw.send(fmt.Sprintf(`{"type":"message","id":9,"room":%q,"message":"refused","key":"r"}`, there))
	answered := make(chan map[string]any, 1)
	go func() { answered <- raw.receive() }()

	var slowest time.Duration
	sent := 0
	var refusal map[string]any
	for refusal == nil || sent < 50 {
		start := time.Now()
		if _, err := ann.Send(testContext(t), here, chat.Draft{Text: fmt.Sprint("other ", sent)}); err != nil {
			t.Fatalf("a message to the other database: %v", err)
		}
		slowest = max(slowest, time.Since(start))
		sent++
		select {
		case refusal = <-answered:
		default:
		}
	}
	if refusal["type"] != "error" || refusal["code"] != "unavailable" {
		t.Errorf("a message to the database that is away: %v", refusal)
	}
	if slowest > 2*time.Second {
		t.Errorf("a message to the other database took %v", slowest)
	}

	back()
	sending.Wait()
	raw.send(fmt.Sprintf(`{"type":"message","id":10,"room":%q,"message":"refused","key":"r"}`, there))
	deadline := time.Now().Add(time.Minute)
	for m := raw.receive(); m["type"] != "ack"; m = raw.receive() {
		if time.Now().After(deadline) {
			t.Fatalf("after the database has come back: %v", m)
		}
		raw.send(fmt.Sprintf(`{"type":"message","id":10,"room":%q,"message":"refused","key":"r"}`, there))
	}
	got := texts(t, ann, there)
	slices.Sort(got)
	if want := []string{"before", "meanwhile", "refused"}; !slices.Equal(got, want) {
		t.Errorf("the room has %q, want %q", got, want)
	}
	if code := n.Terminate(20 * time.Second); code != 0 {
		t.Errorf("the node ended with %d", code)
	}
}

// A node that began with SQLite gets a database: its rooms stay where they are, and the
// log tells how they move.
func TestNewcomerAddsDatabases(t *testing.T) {
	dir, addr := t.TempDir(), testprocess.FreeAddr(t)
	n := program.Start(t, dir, addr)
	n.Ready()
	ann := user(t, n, "ann")
	rooms := roomsOf()
	for _, r := range rooms {
		join(t, ann, r)
		if _, err := ann.Send(testContext(t), r, chat.Draft{Text: "before"}); err != nil {
			t.Fatal(err)
		}
	}
	n.Terminate(10 * time.Second)

	var flags, names []string
	for _, e := range testdb.Engines {
		dsn := testdb.Database(t, e)
		flags, names = append(flags, "--shard", dsn), append(names, nameOf(t, dsn))
	}
	n = program.StartWith(t, dir, addr, flags)
	n.Ready()
	for _, r := range rooms {
		if _, err := ann.Send(testContext(t), r, chat.Draft{Text: "after"}); err != nil {
			t.Fatal(err)
		}
		if got := texts(t, ann, r); !slices.Equal(got, []string{"before", "after"}) {
			t.Errorf("%s has %q", r, got)
		}
	}
	want := "roomtide shards move --from shard-0.db,shard-1.db,shard-2.db,shard-3.db --to " + strings.Join(names, ",")
	if !strings.Contains(n.Stderr(), want) {
		t.Errorf("no %q in the log:\n%s", want, n.Stderr())
	}
	n.Terminate(10 * time.Second)
	if out := verb(t, append([]string{"check", "--data-dir", dir}, flags...)...); !strings.Contains(out, names[0]) || !strings.Contains(out, "shard-0.db") {
		t.Errorf("check: %s", out)
	}
	starts(t, dir) // they own nothing, and are not wanted any more
}
