package lane_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/store"
)

// leased is a shard whose leases can be told to fail, as for a node that is cut off, and
// whose disk can be full.
type leased struct {
	store.Driver
	cut  *atomic.Pointer[string] // a node whose leases cannot be asked for
	disk *disk
}

// disk counts the commits for which it has no space.
type disk struct {
	full    atomic.Bool
	refused atomic.Int64
	away    atomic.Bool // the database does not answer
}

func (l *leased) Commit(ctx context.Context, id store.LaneID, at store.Position, ch *store.Changes) error {
	if l.disk.full.Load() {
		l.disk.refused.Add(1)
		return chat.E(chat.ReadOnly, "the disk is full")
	}
	if l.disk.away.Load() {
		return chat.E(chat.Unavailable, "away")
	}
	return l.Driver.Commit(ctx, id, at, ch)
}

func (l *leased) Acquire(ctx context.Context, id store.LaneID) (store.Position, error) {
	if l.disk.away.Load() {
		return store.Position{}, chat.E(chat.Unavailable, "away")
	}
	return l.Driver.Acquire(ctx, id)
}

func (l *leased) Lease(ctx context.Context, id store.LaneID, node string, life time.Duration) (store.Lease, error) {
	if cut := l.cut.Load(); cut != nil && *cut == node {
		return store.Lease{}, chat.E(chat.Unavailable, "cut off")
	}
	return l.Driver.Lease(ctx, id, node, life)
}

// several are nodes over the same shards, which hand changes on to each other in memory.
type several struct {
	t     testing.TB
	store *store.Store
	cut   atomic.Pointer[string]
	disk  disk
	queue bool // see lane.Cluster; set before the first start
	alive atomic.Int64
	drops atomic.Int64 // lanes that a node has left

	offering sync.Mutex

	mu    sync.Mutex
	nodes map[string]*lane.Lanes
	wait  map[int][]func(*lane.Lanes) bool // handed on, not taken yet, by shard
	owned map[int]string
	gone  map[string]time.Time // nodes that Cluster.Gone has told of, and when
}

const (
	testLife = 600 * time.Millisecond
	attempts = 6 // at a lane that others have, in a life
)

func newSeveral(t testing.TB, shards int) *several {
	s := &several{t: t, nodes: map[string]*lane.Lanes{}, wait: map[int][]func(*lane.Lanes) bool{}, owned: map[int]string{}, gone: map[string]time.Time{}}
	s.store = teststore.Open(t, t.TempDir(), shards, func(d store.Driver) store.Driver { return &leased{d, &s.cut, &s.disk} })
	t.Cleanup(func() {
		for _, name := range s.names() {
			s.stop(name)
		}
		if err := s.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *several) names() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.nodes {
		names = append(names, name)
	}
	return names
}

func (s *several) start(name string) *lane.Lanes {
	s.t.Helper()
	s.alive.Add(1)
	ls, err := lane.Open(s.t.Context(), lane.Config{
		Store: s.store, Publish: func(*bus.Batch) error { return nil },
		Cluster: &lane.Cluster{
			Node: name, Life: testLife, Queue: s.queue, Forward: s.forward, Nodes: s.sharing, Gone: s.goes,
			Owned: func(shard int, from *change.Progress) error { return s.own(name, shard, from != nil) },
			Want: func(shard int) {
				for _, other := range s.others(name) {
					other.Cede(shard)
				}
			},
			Left: func(shard int) {
				for _, other := range s.others(name) {
					other.Try(shard)
				}
			},
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.nodes[name] = ls
	s.mu.Unlock()
	ls.Begin()
	return ls
}

func (s *several) goes(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone[name] = time.Now()
}

// sharing is how many nodes have begun, and have not ended as far as others know.
func (s *several) sharing() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.gone, func(_ string, at time.Time) bool { return time.Since(at) > 10*testLife })
	return int(s.alive.Load()) - len(s.gone)
}

// stop closes a node in good order.
func (s *several) stop(name string) {
	s.mu.Lock()
	ls := s.nodes[name]
	s.mu.Unlock()
	s.alive.Add(-1)
	ls.Leave()
	s.mu.Lock()
	delete(s.nodes, name)
	s.mu.Unlock()
	ls.Close()
}

func (s *several) others(name string) (others []*lane.Lanes) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, ls := range s.nodes {
		if n != name {
			others = append(others, ls)
		}
	}
	return others
}

// forward offers the change to the owner of the lane, and keeps it until there is one.
func (s *several) forward(shard int, c change.Change, done change.Done) {
	s.hand(shard, c, done)
}

func (s *several) hand(shard int, c change.Change, done change.Done) {
	s.mu.Lock()
	s.wait[shard] = append(s.wait[shard], func(ls *lane.Lanes) bool {
		owned, here := ls.Offer(shard, c, change.Origin{Sender: 1}, func(r change.Reply, err error) {
			if chat.KindOf(err) == chat.Fenced { // another node has it by now
				s.hand(shard, c, done)
				return
			}
			done(r, err)
		})
		return owned && here
	})
	s.mu.Unlock()
	s.flush(shard)
}

// flush offers what is kept for a lane, in its order.
func (s *several) flush(shard int) {
	s.offering.Lock()
	defer s.offering.Unlock()
	for {
		s.mu.Lock()
		if len(s.wait[shard]) == 0 {
			s.mu.Unlock()
			return
		}
		first := s.wait[shard][0]
		s.mu.Unlock()
		if !slices.ContainsFunc(s.others(""), first) {
			return
		}
		s.mu.Lock()
		s.wait[shard] = s.wait[shard][1:]
		s.mu.Unlock()
	}
}

func (s *several) own(name string, shard int, owned bool) error {
	s.mu.Lock()
	if s.nodes[name] == nil {
		s.mu.Unlock()
		return chat.E(chat.Unavailable, "not there yet") // is repeated
	}
	if owned {
		s.owned[shard] = name
	} else if s.owned[shard] == name { // and not by another node by now
		s.drops.Add(1)
		delete(s.owned, shard)
	}
	s.mu.Unlock()
	s.flush(shard)
	return nil
}

// until waits for the lanes to be as ok wants them.
func (s *several) until(what string, ok func(lanes map[string]int) bool) {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); ; {
		lanes := map[string]int{}
		s.mu.Lock()
		for _, name := range s.owned {
			lanes[name]++
		}
		s.mu.Unlock()
		if ok(lanes) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("%s: the lanes are %v", what, lanes)
		}
	}
}

// writers send to rooms of all shards through changing nodes until stopped, and check
// that each sender's messages have their numbers in order, once.
func (s *several) writers(rooms int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	for i := range rooms {
		room := chat.RoomID(fmt.Sprint("room", i))
		work.Go(func() {
			via := s.others("")[0]
			if _, err := via.Do(s.t.Context(), &change.Join{Room: room, User: "ann", Create: &change.RoomSpec{Open: true}, Own: true}); err != nil {
				s.t.Error(err)
				return
			}
			n := 0
			for ; ctx.Err() == nil; n++ {
				nodes := s.others("")
				r, err := nodes[n%len(nodes)].Do(s.t.Context(), send(room, "ann", fmt.Sprint("key", n), fmt.Sprint(n)))
				if err != nil || r.Seq != chat.Seq(n+1) {
					s.t.Errorf("%s: message %d has the number %d, %v", room, n+1, r.Seq, err)
					return
				}
			}
			ms, _, err := s.store.Room(room).Messages(s.t.Context(), room, store.Page{Limit: n + 1})
			if err != nil || len(ms) != n {
				s.t.Errorf("%s: %d messages of %d, %v", room, len(ms), n, err)
			}
		})
	}
	return func() { cancel(); work.Wait() }
}

// Lanes are spread over nodes that come and go in good order, while messages are sent
// through all of them: each is there once, in order, and none is refused.
func TestLanesFollowTheNodes(t *testing.T) {
	s := newSeveral(t, 6)
	s.start("a")
	s.until("one node has all", func(l map[string]int) bool { return l["a"] == 6 })
	stop := s.writers(8)
	s.start("b")
	s.until("two nodes share", func(l map[string]int) bool { return l["a"] == 3 && l["b"] == 3 })
	s.start("c")
	s.until("three nodes share", func(l map[string]int) bool { return l["a"] == 2 && l["b"] == 2 && l["c"] == 2 })
	s.stop("a")
	s.until("two are left", func(l map[string]int) bool { return l["b"] == 3 && l["c"] == 3 })
	s.stop("b")
	s.until("one is left", func(l map[string]int) bool { return l["c"] == 6 })
	stop()
}

// The lanes of a node that cannot renew its leases are taken by another, and what the
// first one commits after that is fenced: its changes go to the new owner.
func TestOwnerIsCutOff(t *testing.T) {
	s := newSeveral(t, 2)
	s.start("a")
	s.until("a has all", func(l map[string]int) bool { return l["a"] == 2 })
	stop := s.writers(4)
	name := "a"
	s.cut.Store(&name)
	s.start("b")
	s.until("b has all", func(l map[string]int) bool { return l["b"] == 2 })
	s.cut.Store(nil)
	s.until("they share", func(l map[string]int) bool { return l["a"] == 1 && l["b"] == 1 })
	stop()
}

// The lanes of a node that has ended are taken by the others when its leases have run out,
// though nothing else has told of it yet, and are not left again for it to take.
func TestOwnerIsMissed(t *testing.T) {
	s := newSeveral(t, 6)
	for _, name := range []string{"a", "b", "c"} {
		s.start(name)
	}
	s.until("three nodes share", func(l map[string]int) bool { return l["a"] == 2 && l["b"] == 2 && l["c"] == 2 })
	name := "a"
	s.cut.Store(&name)
	s.until("a has lost its lanes", func(l map[string]int) bool { return l["a"] == 0 })
	before := s.drops.Load()
	for range 3 * attempts { // looks at each lane
		s.until("two are left", func(l map[string]int) bool { return l["b"] == 3 && l["c"] == 3 })
		<-time.After(testLife / attempts)
	}
	if n := s.drops.Load() - before; n > 0 {
		t.Errorf("lanes were left %d times", n)
	}
	s.cut.Store(nil)
}

// While the disk of a database is full, changes are refused; where there is a durable
// queue, which may hold them, they wait for a tenure that can write them.
func TestDiskIsFull(t *testing.T) {
	for _, queue := range []bool{false, true} {
		s := newSeveral(t, 1)
		s.queue = queue
		a := s.start("a")
		s.until("a has the lane", func(l map[string]int) bool { return l["a"] == 1 })
		if _, err := a.Do(t.Context(), &change.Join{Room: "r", User: "ann", Create: &change.RoomSpec{Open: true}, Own: true}); err != nil {
			t.Fatal(err)
		}
		s.disk.full.Store(true)
		outcome := make(chan error, 1)
		go func() {
			_, err := a.Do(t.Context(), send("r", "ann", "key", "text"))
			outcome <- err
		}()
		if queue {
			s.until("it is tried more than once", func(map[string]int) bool { return s.disk.refused.Load() > 1 })
			s.disk.full.Store(false)
		}
		if err := <-outcome; queue != (err == nil) || !queue && chat.KindOf(err) != chat.ReadOnly {
			t.Errorf("with a queue %v: %v", queue, err)
		}
		s.disk.full.Store(false)
	}
}

// While a tenure ends, as its database does not answer, what another node hands on is given back to it, and
// not refused: the durable queue may have accepted it.
func TestTenureEndsWithoutDatabase(t *testing.T) {
	s := newSeveral(t, 1)
	a := s.start("a")
	s.until("a has the lane", func(l map[string]int) bool { return l["a"] == 1 })
	if _, err := a.Do(t.Context(), &change.Join{Room: "r", User: "ann", Create: &change.RoomSpec{Open: true}, Own: true}); err != nil {
		t.Fatal(err)
	}
	s.disk.away.Store(true)
	type outcome struct {
		first error
		owned bool
	}
	ended := make(chan outcome, 1)
	from := change.Origin{Sender: 1, Number: 1}
	owned, _ := a.Offer(0, send("r", "ann", "first", "text"), from, func(_ change.Reply, err error) {
		// The lane calls it before it is another node's.
		from.Number++
		owned, _ := a.Offer(0, send("r", "ann", "second", "text"), from, func(change.Reply, error) {})
		ended <- outcome{err, owned}
	})
	if !owned {
		t.Fatal("the lane is not a's")
	}
	if got := <-ended; chat.KindOf(got.first) != chat.Fenced || got.owned {
		t.Errorf("the first one: %v; the second one is taken: %v", got.first, got.owned)
	}
	s.disk.away.Store(false)
}
