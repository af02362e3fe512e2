package sqlbench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testfigures"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// mostWhileDown is how many times the usual the p99 of acks may be while the other shard
// is down.
const mostWhileDown = 1.5

// TestOtherShardWhileOneIsDown measures a node on two servers, one shard each. One is
// halted: it keeps its connections and answers nothing. What users of either shard send
// to rooms of the other one is acknowledged as before; what was sent to those that were
// down is when the server goes on.
func TestOtherShardWhileOneIsDown(t *testing.T) {
	program, err := testprocess.Build("")
	must(t, err)
	t.Cleanup(func() { must(t, program.Remove()) })
	testfigures.Row("shards", "messages/s", "ack p99 of the other shard: before", "one is down", "after", "down / before")
	testfigures.Row("---", "---", "---", "---", "---", "---")
	engines, phase := testdb.Engines, 20*time.Second
	if !*testfigures.Wanted {
		engines, phase = []testdb.Engine{testdb.Maria}, time.Second
	}
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) { oneDown(t, program, e, phase) })
	}
}

func oneDown(t *testing.T, program *testprocess.Program, e testdb.Engine, phase time.Duration) {
	up, down := testdb.Start(t, e, settings[e]...), testdb.Start(t, e, settings[e]...)
	addr := testprocess.FreeAddr(t)
	node := program.Start(t, t.TempDir(), addr, "ROOMTIDE_SHARD="+up.Database()+" "+down.Database())
	node.Ready()
	upper, lower := newSenders(t, node, 0), newSenders(t, node, 1)
	before, _ := upper.phase(phase), lower.phase(phase)
	down.Pause()
	during, _ := upper.phase(phase), lower.phase(0)
	down.Continue()
	after := upper.phase(phase)
	upper.end()
	lower.end() // behind the ack of everything that was sent
	if len(before) == 0 || len(during) == 0 || len(after) == 0 {
		t.Fatalf("%d acks before, %d while one shard was down, %d after", len(before), len(during), len(after))
	}
	ratio := p99(during).Seconds() / p99(before).Seconds()
	testfigures.Row("two "+string(e), fmt.Sprintf("%.0f", float64(len(during))/phase.Seconds()), p99(before), p99(during), p99(after), fmt.Sprintf("%.2f", ratio))
	if *testfigures.Wanted && ratio > mostWhileDown {
		t.Errorf("%s: the p99 is %.2f times what it was before, more than %.1f", e, ratio, mostWhileDown)
	}
}

// senders send to rooms of one shard, 20 messages a second each, whatever acks do.
type senders struct {
	t    *testing.T
	stop chan struct{}
	wg   sync.WaitGroup

	mu   sync.Mutex
	acks []time.Duration // of this phase
}

const (
	perShard = 20 // senders
	sendEach = 50 * time.Millisecond
)

// newSenders connects users of both shards, each with a room of the shard.
func newSenders(t *testing.T, node *testprocess.Node, shard int) *senders {
	s := &senders{t: t, stop: make(chan struct{})}
	for i := range perShard {
		user := filed(fmt.Sprintf("user %d of %d ", i, shard), i%2, func(id string) chat.Slot { return chat.UserID(id).Slot() })
		room := chat.RoomID(filed(fmt.Sprintf("room %d of ", i), shard, func(id string) chat.Slot { return chat.RoomID(id).Slot() }))
		c, err := client.Dial(ctx, client.Options{URL: node.URL(""), User: user})
		must(t, err)
		t.Cleanup(func() { c.Close() })
		_, err = c.Join(ctx, room, client.JoinOptions{})
		must(t, err)
		go func() {
			for range c.Events() { // unread events would stop the connection
			}
		}()
		s.wg.Go(func() { s.send(c, room) })
	}
	return s
}

// filed is an id that one of two shards has: each owns half of the slots.
func filed(prefix string, shard int, slot func(string) chat.Slot) string {
	for n := 0; ; n++ {
		if id := fmt.Sprint(prefix, n); int(slot(id))/(chat.Slots/2) == shard {
			return id
		}
	}
}

// send sends until the end, and returns when everything is acknowledged.
func (s *senders) send(c *client.Client, room chat.RoomID) {
	tick := time.NewTicker(sendEach)
	defer tick.Stop()
	var open sync.WaitGroup
	defer open.Wait()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		start := time.Now()
		open.Go(func() {
			bounded, cancel := context.WithTimeout(ctx, 2*time.Minute)
			defer cancel()
			if _, err := c.Send(bounded, room, chat.Draft{Text: "hello"}); err != nil {
				s.t.Errorf("%s: %v", room, err)
				return
			}
			s.mu.Lock()
			s.acks = append(s.acks, time.Since(start))
			s.mu.Unlock()
		})
	}
}

// phase returns the acks of some time.
func (s *senders) phase(d time.Duration) (acks []time.Duration) {
	s.mu.Lock()
	s.acks = nil
	s.mu.Unlock()
	<-time.After(d)
	s.mu.Lock()
	defer s.mu.Unlock()
	acks, s.acks = s.acks, nil
	slices.Sort(acks)
	return acks
}

func (s *senders) end() {
	close(s.stop)
	s.wg.Wait()
}

func p99(sorted []time.Duration) time.Duration {
	return sorted[len(sorted)*99/100].Round(100 * time.Microsecond)
}
