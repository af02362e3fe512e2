package clusterbench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testcluster"
	"github.com/roomtide/roomtide/internal/testfigures"
)

// senders send to a room each, one message after the other, and note when each was acked.
type senders struct {
	t    *testing.T
	stop context.CancelFunc
	work sync.WaitGroup

	mu   sync.Mutex
	acks [][]time.Time // by room
	fail []error
}

const probeRooms = 24

var runs int // names rooms that no other run has

// send starts senders whose clients are spread over the nodes.
func send(t *testing.T, c *testcluster.Cluster, nodes []string) *senders {
	t.Helper()
	runs++
	ctx, stop := context.WithCancel(t.Context())
	s := &senders{t: t, stop: stop, acks: make([][]time.Time, probeRooms)}
	for i := range probeRooms {
		user := chat.UserID(fmt.Sprint("prober", i))
		room := chat.RoomID(fmt.Sprintf("probe %d %d", runs, i))
		cl := enter(ctx, t, client.Options{URL: "ws://" + c.Addr(nodes[i%len(nodes)]), User: string(user)}, room)
		s.work.Go(func() {
			defer cl.Close()
			s.probe(ctx, cl, i, room)
		})
	}
	t.Cleanup(func() { stop(); s.work.Wait() })
	s.await(5)
	return s
}

// enter returns a client that has joined a room and reads what it is told.
func enter(ctx context.Context, t *testing.T, o client.Options, room chat.RoomID) *client.Client {
	t.Helper()
	cl, err := client.Dial(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cl.Join(ctx, room, client.JoinOptions{}); err != nil {
		t.Fatal(err)
	}
	go func() {
		for range cl.Events() { // unread ones would stop the connection
		}
	}()
	return cl
}

func (s *senders) probe(ctx context.Context, cl *client.Client, i int, room chat.RoomID) {
	for n := 0; ctx.Err() == nil; n++ {
		_, err := cl.Send(ctx, room, chat.Draft{Text: "probe", Key: fmt.Sprint(n)})
		now := time.Now()
		s.mu.Lock()
		if err == nil {
			s.acks[i] = append(s.acks[i], now)
		} else if ctx.Err() == nil {
			s.fail = append(s.fail, fmt.Errorf("%s, message %d: %w", room, n, err))
		}
		s.mu.Unlock()
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// await waits until every room has so many further acks.
func (s *senders) await(more int) {
	s.t.Helper()
	s.mu.Lock()
	goal := make([]int, len(s.acks))
	for i, acks := range s.acks {
		goal[i] = len(acks) + more
	}
	s.mu.Unlock()
	for deadline := time.Now().Add(time.Minute); ; {
		s.mu.Lock()
		missing := false
		for i, acks := range s.acks {
			missing = missing || len(acks) < goal[i]
		}
		s.mu.Unlock()
		if !missing {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal("a room has no acks any more")
		}
		<-time.After(5 * time.Millisecond)
	}
}

// end stops the senders and returns the longest time without an ack that reaches behind a
// moment, in the worst of the rooms.
func (s *senders) end(since time.Time) (worst time.Duration) {
	s.t.Helper()
	s.stop()
	s.work.Wait()
	for _, err := range s.fail {
		s.t.Errorf("a send was not acked: %v", err)
	}
	for _, acks := range s.acks {
		for i := 1; i < len(acks); i++ {
			if acks[i].After(since) {
				worst = max(worst, acks[i].Sub(acks[i-1]))
			}
		}
	}
	return worst
}

// others are the nodes but one.
func others(name string) []string {
	return slices.DeleteFunc(slices.Clone(testcluster.Names), func(n string) bool { return n == name })
}

// For how long rooms are without an ack when a process ends, each on a cluster of six
// shards where 24 clients send on the nodes that stay.
func TestEnds(t *testing.T) {
	c := start(t, 6)
	n := 1
	if *testfigures.Wanted {
		n = *rounds
	}
	testfigures.Head("ends", "rounds", "longest time without an ack in a room: median of the rounds", "worst")
	t.Run("none", func(t *testing.T) { times(t, c, "nothing, for 5 s", n, quiet) })
	t.Run("node stopped", func(t *testing.T) { times(t, c, "a node, with SIGTERM", n, stopNode) })
	t.Run("NATS killed", func(t *testing.T) { times(t, c, "a NATS server, with SIGKILL", n, killNATS) })
	t.Run("node killed", func(t *testing.T) { times(t, c, "a node, with SIGKILL", n, killNode) })
}

// times measures in several rounds, and prints a line.
func times(t *testing.T, c *testcluster.Cluster, what string, n int, once func(*testing.T, *testcluster.Cluster, int) time.Duration) {
	t.Helper()
	var took []time.Duration
	for i := range n {
		c.Even()
		took = append(took, once(t, c, i))
	}
	slices.Sort(took)
	testfigures.Row(what, n, millis(took[n/2]), millis(took[n-1]))
}

func quiet(t *testing.T, c *testcluster.Cluster, _ int) time.Duration {
	s := send(t, c, testcluster.Names)
	since := time.Now()
	<-time.After(5 * time.Second)
	return s.end(since)
}

func killNode(t *testing.T, c *testcluster.Cluster, i int) time.Duration {
	name := testcluster.Names[i%3]
	s := send(t, c, others(name))
	since := time.Now()
	c.KillNode(name)
	c.Served()
	s.await(20)
	worst := s.end(since)
	c.StartNode(name)
	return worst
}

func stopNode(t *testing.T, c *testcluster.Cluster, i int) time.Duration {
	name := testcluster.Names[i%3]
	s := send(t, c, others(name))
	since := time.Now()
	if code := c.Nodes[name].Terminate(time.Minute); code != 0 {
		t.Errorf("node %s ends with %d", name, code)
	}
	delete(c.Nodes, name)
	c.Served()
	s.await(20)
	worst := s.end(since)
	c.StartNode(name)
	return worst
}

func killNATS(t *testing.T, c *testcluster.Cluster, i int) time.Duration {
	s := send(t, c, testcluster.Names)
	since := time.Now()
	c.NATS.Kill(i % 3)
	s.await(100)
	worst := s.end(since)
	c.NATS.Restart(i % 3)
	c.NATS.Settle()
	return worst
}
