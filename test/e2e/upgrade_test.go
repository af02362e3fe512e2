package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/cluster"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/server"
)

// upgrade is three nodes that are replaced one after the other while people talk.
type upgrade struct {
	*nodes
	newer *testprocess.Program // of as many levels more as ROOMTIDE_PLANTED_LEVELS says
	addrs map[string]string

	every   time.Duration // between two messages of a writer
	done    chan struct{} // closed: nothing new is sent
	writing sync.WaitGroup
	reading sync.WaitGroup
	sent    atomic.Int64
}

// replace ends the node, if it runs, and starts it in a program of as many levels more.
func (u *upgrade) replace(name string, levels int) {
	u.t.Helper()
	if n := u.run[name]; n != nil {
		if code := n.Terminate(30 * time.Second); code != 0 {
			u.t.Errorf("%s ends with %d", name, code)
		}
	}
	u.run[name] = u.begin(name, levels)
	u.run[name].Ready()
}

func (u *upgrade) begin(name string, levels int) *testprocess.Node {
	u.t.Helper()
	if u.dirs[name] == "" {
		u.dirs[name], u.addrs[name] = u.t.TempDir(), testprocess.FreeAddr(u.t)
	}
	env := append(u.env, "ROOMTIDE_NODE="+name)
	if levels == 0 {
		return program.Start(u.t, u.dirs[name], u.addrs[name], env...)
	}
	return u.newer.Start(u.t, u.dirs[name], u.addrs[name], append(env, fmt.Sprint("ROOMTIDE_PLANTED_LEVELS=", levels))...)
}

// refused starts a node that must not come up, and looks at why.
func (u *upgrade) refused(name string, levels int, why string) {
	u.t.Helper()
	n := u.begin(name, levels)
	if code := n.Wait(60 * time.Second); code == 0 || !strings.Contains(n.Stderr(), why) {
		u.t.Errorf("a node of %d levels more ends with %d, want %q", levels, code, why)
	}
}

// talk has a user of the node write into a room, and one read it, until done: no message is
// refused, and each comes once, in its order, however often their node is replaced.
func (u *upgrade) talk(name string) {
	u.t.Helper()
	room := chat.RoomID("of " + name)
	w, r := user(u.t, u.run[name], "writer of "+name), user(u.t, u.run[name], "reader of "+name)
	join(u.t, w, room)
	join(u.t, r, room)
	go func() {
		for range w.Events() { // unread events would stop the connection
		}
	}()
	last := make(chan chat.Seq, 1)
	u.writing.Go(func() { last <- u.write(w, room) })
	u.reading.Go(func() { u.read(r, room, last) })
}

func (u *upgrade) write(c *client.Client, room chat.RoomID) (last chat.Seq) {
	ticks := time.NewTicker(u.every)
	defer ticks.Stop()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		got, err := c.Send(ctx, room, chat.Draft{Text: "on and on"})
		cancel()
		if err != nil || got.Seq != last+1 {
			u.t.Errorf("%s: message %d behind %d: %v", room, got.Seq, last, err)
			return last
		}
		last = got.Seq
		u.sent.Add(1)
		select {
		case <-u.done:
			return last
		case <-ticks.C:
		}
	}
}

func (u *upgrade) read(c *client.Client, room chat.RoomID, last <-chan chat.Seq) {
	at, end := chat.Seq(0), chat.Seq(0)
	late := time.NewTimer(5 * time.Minute)
	defer late.Stop()
	for end == 0 || at < end {
		select {
		case end = <-last:
			late.Reset(30 * time.Second)
		case ev, ok := <-c.Events():
			switch {
			case !ok || ev.News == client.Reset || ev.News == client.Left:
				u.t.Errorf("%s: the reader was cut off: %v %v", room, ev.News, ev.Err)
				return
			case ev.Kind != chat.EventMessage || ev.Message == nil:
			case ev.Message.Seq != at+1:
				u.t.Errorf("%s: message %d came behind %d", room, ev.Message.Seq, at)
				return
			default:
				at++
			}
		case <-late.C:
			u.t.Errorf("%s: message %d is the last that came, of %d", room, at, end)
			return
		}
	}
}

// Three nodes go to a program of the next level, back while one of them was not there yet, and
// forth again, and their users notice nothing. Two levels apart is refused, and so is
// the old program when all have the new one (decision 38).
func TestRollingUpgrade(t *testing.T) {
	newer, err := testprocess.Build("planted")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := newer.Remove(); err != nil {
			t.Error(err)
		}
	})
	dsn := testdb.PostgreSQL(t)
	u := &upgrade{nodes: newNodes(t, dsn, testdb.MariaDB(t)), newer: newer, addrs: map[string]string{}, every: 10 * time.Millisecond, done: make(chan struct{})}
	all := []string{"a", "b", "c"}
	for _, name := range all {
		u.replace(name, 0)
	}
	cfg := config.Default()
	cfg.DataDir, cfg.Shards = t.TempDir(), []config.Shard{{DSN: dsn}}
	control, err := server.OpenControl(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	level := func(want int) {
		t.Helper()
		if have, err := control.Level(t.Context()); err != nil || have.Number != want {
			t.Errorf("the level of the data is %d, want %d: %v", have.Number, want, err)
		}
	}
	for _, name := range all {
		u.talk(name)
	}
	u.replace("a", 1)
	u.refused("d", 2, "one level apart") // b and c are as they were
	u.replace("b", 1)
	level(cluster.Level)
	u.replace("b", 0) // and back
	u.replace("a", 0)
	for _, name := range all {
		level(cluster.Level)
		u.replace(name, 1)
	}
	level(cluster.Level + 1)
	u.refused("e", 0, "were written by Roomtide")
	close(u.done)
	u.writing.Wait()
	u.reading.Wait()
	t.Logf("%d messages while nodes were replaced 7 times", u.sent.Load())
}
