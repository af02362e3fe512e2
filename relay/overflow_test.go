package relay

import (
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/queue/memqueue"
)

// until waits for ok.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patient); !ok(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

// isOn reports whether the node's changes for the lane go to the durable queue.
func (n *node) isOn(lane int) bool {
	q := n.queues[lane]
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.overflow.on
}

// sends forwards messages, the first one with the number from, and counts what is accepted.
func (n *node) sends(from, to int, accepted *atomic.Int64) (outcomes []chan result) {
	for i := from; i <= to; i++ {
		m := message(n.name, i)
		m.Accepted = func(at change.Queued) {
			if at.Lane == 0 && at.Entry > 0 && at.Key == m.Draft.Key {
				accepted.Add(1)
			}
		}
		outcomes = append(outcomes, n.forward(0, m))
	}
	return outcomes
}

// What no owner takes is accepted by the durable queue, and is not given up. The next
// owner takes all of it in order, and then the direct way is used again.
func TestOverflow(t *testing.T) {
	s, servers := startNATS(t, -1), memqueue.NewServers(1<<20)
	const giveUp = 3 * time.Second // what is not accepted by then is refused
	cfg := func() Config {
		return Config{Queue: memqueue.New(servers), Overflow: 20 * time.Millisecond, GiveUp: giveUp}
	}
	a, x := newNode(t, dial(t, s), "a", cfg()), newNode(t, dial(t, s), "x", cfg())
	var accepted atomic.Int64
	outcomes := a.sends(1, 5, &accepted)
	until(t, "five are accepted", func() bool { return accepted.Load() == 5 })
	outcomes = append(outcomes, a.sends(6, 10, &accepted)...)
	until(t, "ten are accepted", func() bool { return accepted.Load() == 10 })
	last := time.Now()
	until(t, "it is later", func() bool { return time.Since(last) > giveUp })
	x.serve(t, 0, true)
	for i, ch := range outcomes {
		if r, err := wait(t, ch); err != nil || int(r.Seq) != i+1 {
			t.Errorf("%d is answered %+v, %v", i+1, r, err)
		}
	}
	for i, got := range x.log() {
		if got.n != i+1 {
			t.Errorf("%d is taken as number %d", got.n, i+1)
		}
	}
	until(t, "the direct way is used again", func() bool {
		a.asks(0)
		return !a.isOn(0)
	})
	if r, err := a.do(t, 0, message("a", 11)); err != nil || r.Seq != 11 {
		t.Errorf("directly: %+v, %v", r, err)
	}
	if got := accepted.Load(); got != 10 {
		t.Errorf("%d were accepted", got)
	}
}

// A durable queue that takes nothing, here because it has no space, holds up no change that
// an owner takes: also one that comes later.
func TestDirectlyWhereTheQueueFails(t *testing.T) {
	s, servers := startNATS(t, -1), memqueue.NewServers(1)
	cfg := func() Config {
		return Config{Queue: memqueue.New(servers), Overflow: 20 * time.Millisecond, GiveUp: patient}
	}
	a, x := newNode(t, dial(t, s), "a", cfg()), newNode(t, dial(t, s), "x", cfg())
	var accepted atomic.Int64
	outcomes := a.sends(1, 5, &accepted)
	until(t, "the queue is tried", func() bool { return a.isOn(0) && a.count.waiting.Load() == 5 })
	x.serve(t, 0, true)
	outcomes = append(outcomes, a.sends(6, 10, &accepted)...)
	for i, ch := range outcomes {
		if r, err := wait(t, ch); err != nil || int(r.Seq) != i+1 {
			t.Errorf("%d is answered %+v, %v", i+1, r, err)
		}
	}
	if got := accepted.Load(); got != 0 {
		t.Errorf("%d were accepted", got)
	}
}

// asks has the sender look at what it has open.
func (n *node) asks(lane int) {
	n.queues[lane].mu.Lock()
	n.queues[lane].turn(n.cfg.Now())
	n.queues[lane].mu.Unlock()
}

// What was accepted is taken when its sender is gone.
func TestAcceptedChangesOutliveTheirSender(t *testing.T) {
	s, servers := startNATS(t, -1), memqueue.NewServers(1<<20)
	cfg := func() Config { return Config{Queue: memqueue.New(servers), Overflow: 20 * time.Millisecond} }
	a, x := newNode(t, dial(t, s), "a", cfg()), newNode(t, dial(t, s), "x", cfg())
	var accepted atomic.Int64
	a.sends(1, 100, &accepted)
	until(t, "all are accepted", func() bool { return accepted.Load() == 100 })
	a.Close()
	x.serve(t, 0, true)
	until(t, "all are taken", func() bool { return len(x.log()) == 100 })
	for i, got := range x.log() {
		if got.key != "a-"+strconv.Itoa(i+1) {
			t.Errorf("%s is taken as number %d", got.key, i+1)
		}
	}
}

// With Always nothing goes directly, and what an owner has decided it trims.
func TestAlways(t *testing.T) {
	s, servers := startNATS(t, -1), memqueue.NewServers(1<<20)
	cfg := func() Config { return Config{Queue: memqueue.New(servers), Always: true} }
	a, x := newNode(t, dial(t, s), "a", cfg()), newNode(t, dial(t, s), "x", cfg())
	x.serve(t, 0, true)
	var accepted atomic.Int64
	for i, ch := range a.sends(1, 50, &accepted) {
		if r, err := wait(t, ch); err != nil || int(r.Seq) != i+1 {
			t.Errorf("%d is answered %+v, %v", i+1, r, err)
		}
	}
	if got := accepted.Load(); got == 0 { // not always all: an outcome may come before the queue has answered
		t.Error("none of 50 was accepted")
	}
	if a.count.waiting.Load() != 0 || a.count.bytes.Load() != 0 {
		t.Error("something is counted as waiting")
	}
}

// A hole in what a sender has appended is reported by the owner that commits the entry behind
// it, and not by one that was taken over without knowing it: to that one, what its
// successor has decided is missing.
func TestHole(t *testing.T) {
	s, servers := startNATS(t, -1), memqueue.NewServers(1<<20)
	cfg := func() Config { return Config{Queue: memqueue.New(servers)} }
	ended := make(chan struct{}, 1)
	old := newNode(t, dial(t, s), "old", cfg(), func(r *Relay) {
		r.cfg.Submit = func(_ int, c change.Change, _ change.Origin, done change.Done) Taken {
			done(change.Reply{}, chat.Wrap(chat.Fenced, "lane.commit", errors.New("another owner")))
			if _, ok := c.(*change.Nop); ok {
				signal(ended)
			}
			return Took
		}
	})
	owner := newNode(t, dial(t, s), "owner", cfg())
	appendOne(t, owner, 3)
	if err := old.Own(0, &change.Progress{}); err != nil {
		t.Fatal(err)
	}
	<-ended
	if n := testutil.ToFloat64(old.count.queueHoles); n != 0 {
		t.Errorf("an owner that was taken over has reported %v holes", n)
	}
	owner.serve(t, 0, true)
	until(t, "the hole is reported", func() bool { return testutil.ToFloat64(owner.count.queueHoles) == 1 })
	if got := owner.log(); len(got) != 1 || got[0].n != 3 {
		t.Errorf("taken: %+v", got)
	}
}

// queued is an entry of the durable queue with one message.
func queued(base, number uint64) []byte {
	p := packet{from: 7, base: base, first: number}
	bytes := change.Append(nil, message("a", int(number)))
	return append(binary.AppendUvarint(p.appendHeader(nil), uint64(len(bytes))), bytes...)
}

// appendOne appends an entry with one message, as a sender does, and returns its number.
func appendOne(t *testing.T, n *node, number uint64) uint64 {
	t.Helper()
	at, err := n.cfg.Queue.Append(t.Context(), 0, queued(1, number))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// own has the node take over lane 0 from where its database stands.
func own(t *testing.T, n *node, from *change.Progress) {
	t.Helper()
	n.mu.Lock()
	n.owned[0] = true
	n.mu.Unlock()
	if err := n.Own(0, from); err != nil {
		t.Fatal(err)
	}
}

// The queue has lost its end: the database stands behind it, and smaller numbers are given
// again. What was accepted since is taken.
func TestLostEnd(t *testing.T) {
	s, servers := startNATS(t, -1), memqueue.NewServers(1<<20)
	owner := newNode(t, dial(t, s), "owner", Config{Queue: memqueue.New(servers)})
	appendOne(t, owner, 1)
	own(t, owner, &change.Progress{Queue: 100})
	until(t, "the accepted change is taken", func() bool { return len(owner.log()) == 1 })
}

// What an owner that died has taken and not trimmed is trimmed by the next one.
func TestTrimmedByTheNextOwner(t *testing.T) {
	s, servers := startNATS(t, -1), memqueue.NewServers(1<<20)
	owner := newNode(t, dial(t, s), "owner", Config{Queue: memqueue.New(servers)})
	first := appendOne(t, owner, 1)
	second := appendOne(t, owner, 2)
	own(t, owner, &change.Progress{Queue: second})
	appendOne(t, owner, 3)
	until(t, "the third is taken", func() bool { return len(owner.log()) == 1 })
	until(t, "the first is gone", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		err := owner.cfg.Queue.Read(ctx, 0, first, func(uint64, []byte) error { return errOver })
		return chat.KindOf(err) == chat.Conflict
	})
}
