package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// A site begins with SQLite files, moves to two databases of MariaDB, from there to
// PostgreSQL, and back to the files, as docs/databases.md says, while its users write.
// No send fails; no connection is cut off, gets a gap, or sees anything twice
// or in another order.
func TestMovingASite(t *testing.T) {
	dir, addr := t.TempDir(), testprocess.FreeAddr(t)
	env := []string{"ROOMTIDE_METRICS_PUBLIC=true"}
	n := program.Start(t, dir, addr, env...)
	n.Ready()
	rooms := []chat.RoomID{"lobby", "garden", "kitchen", "attic"}
	site := &site{t: t, rooms: rooms}
	first := user(t, n, "founder")
	for _, room := range rooms {
		join(t, first, room)
		for i := range 20 {
			if _, err := first.Send(testContext(t), room, chat.Draft{Text: fmt.Sprint("from the beginning ", i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	first.Close()
	if code := n.Terminate(10 * time.Second); code != 0 {
		t.Fatal(code)
	}

	dsns := []string{testdb.MariaDB(t), testdb.MariaDB(t), testdb.PostgreSQL(t)}
	n = program.Start(t, dir, addr, append(env, "ROOMTIDE_SHARD="+strings.Join(dsns, " "))...)
	n.Ready()
	files := "shard-0.db,shard-1.db,shard-2.db,shard-3.db"
	maria, pg := nameOf(t, dsns[0])+","+nameOf(t, dsns[1]), nameOf(t, dsns[2])
	stop := site.open(n)
	for _, step := range [][2]string{{files, maria}, {maria, pg}, {pg, files}} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		out, errs, err := program.Run(ctx, "shards", "move", "--data-dir", dir, "--yes", "--from", step[0], "--to", step[1], "--keep", "1")
		cancel()
		if err != nil || !strings.Contains(out, "done") {
			t.Fatalf("%v\n%s%s", err, out, errs)
		}
		t.Logf("%d messages, after the move to %s", site.sent.Load(), step[1])
	}
	stop()
	if gaps := metric(t, n, "roomtide_hub_gaps_total"); gaps != "" {
		t.Errorf("connections were told of gaps:\n%s", gaps)
	}
	site.compare(n)
	list := verb(t, "shards", "--data-dir", dir)
	for _, name := range strings.Split(files, ",") {
		if !strings.Contains(list, name+"  ") {
			t.Error(list)
		}
	}
	if code := n.Terminate(10 * time.Second); code != 0 {
		t.Fatal(code)
	}
	n = program.Start(t, dir, addr) // the databases are not needed any more
	n.Ready()
	site.compare(n)
	if code := n.Terminate(10 * time.Second); code != 0 {
		t.Fatal(code)
	}
	verb(t, "check", "--data-dir", dir)
	if _, errs, err := program.Run(testContext(t), "shards", "--data-dir", dir); err == nil || !strings.Contains(errs, "is it running") {
		t.Errorf("shards of a stopped node: %v, %s", err, errs)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "admin.sock")); err != nil || len(left) > 0 {
		t.Error("the socket is left behind")
	}
}

// site is users that write and read all the time.
type site struct {
	t     *testing.T
	rooms []chat.RoomID
	sent  atomic.Int64

	mu   sync.Mutex
	said map[chat.RoomID]map[chat.Seq]string // as acknowledged
}

// open connects a writer and a reader for each room, to one node or to one each. stop
// ends them when each reader has all that was written.
func (s *site) open(n *testprocess.Node, readers ...*testprocess.Node) (stop func()) {
	reads := append(readers, n)[0]
	s.said = map[chat.RoomID]map[chat.Seq]string{}
	done := make(chan struct{})
	var writing, reading sync.WaitGroup
	var last sync.Map
	for _, room := range s.rooms {
		s.said[room] = map[chat.Seq]string{}
	}
	for i, room := range s.rooms {
		w, r := user(s.t, n, fmt.Sprint("writer ", i)), user(s.t, reads, fmt.Sprint("reader ", i))
		join(s.t, w, room)
		join(s.t, r, room)
		go func() {
			for range w.Events() { // unread events would stop the connection
			}
		}()
		writing.Go(func() { last.Store(room, s.write(w, room, done)) })
		reading.Go(func() {
			s.read(r, room, func() (chat.Seq, bool) { v, ok := last.Load(room); seq, _ := v.(chat.Seq); return seq, ok })
		})
	}
	return func() { close(done); writing.Wait(); reading.Wait() }
}

// write sends messages until done and returns the number of the last one.
func (s *site) write(c *client.Client, room chat.RoomID, done <-chan struct{}) (last chat.Seq) {
	ticks := time.NewTicker(20 * time.Millisecond) // what is written meanwhile is moved too
	defer ticks.Stop()
	for i := 0; ; i++ {
		text := fmt.Sprint("message ", i)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		got, err := c.Send(ctx, room, chat.Draft{Text: text})
		cancel()
		if err != nil {
			s.t.Errorf("%s: %v", room, err)
			return last
		}
		last = got.Seq
		s.sent.Add(1)
		s.mu.Lock()
		s.said[room][got.Seq] = text
		s.mu.Unlock()
		select {
		case <-done:
			return last
		case <-ticks.C:
		}
	}
}

// read reads until the last message, which end knows by then, and sees each once and in
// order, on one connection.
func (s *site) read(c *client.Client, room chat.RoomID, end func() (chat.Seq, bool)) {
	next := chat.Seq(0)
	late := time.NewTimer(10 * time.Minute)
	defer late.Stop()
	for {
		select {
		case ev, ok := <-c.Events():
			switch {
			case !ok || ev.News == client.Disconnected || ev.News == client.Reset || ev.News == client.Left:
				s.t.Errorf("%s: the reader was cut off: %v %v", room, ev.News, ev.Err)
				return
			case ev.Kind != chat.EventMessage || ev.Message == nil:
				continue
			case next != 0 && ev.Message.Seq != next:
				s.t.Errorf("%s: message %d came instead of %d", room, ev.Message.Seq, next)
				return
			}
			next = ev.Message.Seq + 1
		case <-time.After(20 * time.Millisecond):
		case <-late.C:
			s.t.Errorf("%s: the reader waits for message %d", room, next)
			return
		}
		if last, known := end(); known && next > last {
			return
		}
	}
}

// compare reads all rooms and holds them against what was acknowledged.
func (s *site) compare(n *testprocess.Node) {
	s.t.Helper()
	c := user(s.t, n, "auditor")
	defer c.Close()
	for _, room := range s.rooms {
		join(s.t, c, room)
		var all []chat.Message
		for p := (client.Page{Limit: 100}); ; {
			page, more, err := c.History(testContext(s.t), room, p)
			if err != nil {
				s.t.Fatal(err)
			}
			all = append(page, all...)
			if !more {
				break
			}
			p.Before = page[0].Seq
		}
		if !slices.IsSortedFunc(all, func(a, b chat.Message) int { return int(a.Seq - b.Seq) }) || len(all) != int(all[len(all)-1].Seq) {
			s.t.Errorf("%s has %d messages up to %d", room, len(all), all[len(all)-1].Seq)
		}
		for i := range all {
			if want, acked := s.said[room][all[i].Seq]; acked && all[i].Text != want {
				s.t.Errorf("%s: message %d is %q, not %q", room, all[i].Seq, all[i].Text, want)
			}
		}
		if want := 20 + len(s.said[room]); len(all) != want {
			s.t.Errorf("%s has %d messages, not %d", room, len(all), want)
		}
	}
}

// metric returns the lines of a metric that are not 0.
func metric(t *testing.T, n *testprocess.Node, name string) string {
	t.Helper()
	resp, err := http.Get(n.URL("/metrics"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(text), name) {
		t.Fatalf("%v: %s %s", err, resp.Status, name)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, name) && !strings.HasSuffix(line, " 0\n") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
