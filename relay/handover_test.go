package relay

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/queue"
	"github.com/roomtide/roomtide/queue/memqueue"
)

// The queue is held back with what was read of it decided, and goes on behind it; a call that
// does not get so far in time leaves it as it was.
func TestHoldQueue(t *testing.T) {
	s, servers := startNATS(t, -1), memqueue.NewServers(1<<20)
	a := newNode(t, dial(t, s), "a", Config{Queue: memqueue.New(servers)})
	a.serve(t, 0, true)
	release, err := a.HoldQueue(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	slots := a.Relay.tenure(0).reading.slots
	if n := len(slots); n != maxReading {
		t.Errorf("%d entries can be read still", maxReading-n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := a.HoldQueue(ctx, 0); chat.KindOf(err) != chat.Unavailable {
		t.Errorf("held twice: %v", err)
	}
	release()
	if n := len(slots); n != 0 {
		t.Errorf("%d entries cannot be read behind it", n)
	}
	if release, err = a.HoldQueue(t.Context(), 1); err != nil { // a lane of another node
		t.Fatal(err)
	}
	release()
}

// watched tells when a call of Read begins and ends.
type watched struct {
	queue.Queue
	began, ended chan struct{}
}

func (w *watched) Read(ctx context.Context, lane int, after uint64, take func(uint64, []byte) error) error {
	w.began <- struct{}{}
	err := w.Queue.Read(ctx, lane, after, take)
	w.ended <- struct{}{}
	return err
}

// An owner that leaves a lane reads its queue no more, and takes what is handed to it until it has left;
// when it has the lane again it reads again.
func TestLeaveQueue(t *testing.T) {
	s, servers := startNATS(t, -1), memqueue.NewServers(1<<20)
	q := &watched{Queue: memqueue.New(servers), began: make(chan struct{}, 4), ended: make(chan struct{}, 4)}
	x := newNode(t, dial(t, s), "x", Config{Queue: q})
	x.serve(t, 0, true)
	<-q.began
	x.LeaveQueue(1) // another node's
	x.LeaveQueue(0)
	<-q.ended
	if _, err := x.do(t, 0, message("ann", 1)); err != nil {
		t.Error(err)
	}
	x.serve(t, 0, false)

	a := newNode(t, dial(t, s), "a", Config{Queue: memqueue.New(servers), Overflow: 20 * time.Millisecond, GiveUp: patient})
	var accepted atomic.Int64
	a.sends(2, 3, &accepted)
	until(t, "two are accepted", func() bool { return accepted.Load() == 2 })
	x.serve(t, 0, true)
	until(t, "they are read", func() bool { return len(x.log()) >= 3 })
	x.tookInOrder(t, 3)
}

// What an owner finds in the durable queue for a slot that has left the lane it hands on, in its
// order, though its sender is gone; the entries end when that is decided, not before.
func TestQueuedForALaneThatWasLeft(t *testing.T) {
	s, servers := startNATS(t, -1), memqueue.NewServers(1<<20)
	cfg := func() Config {
		return Config{Queue: memqueue.New(servers), Overflow: 20 * time.Millisecond, GiveUp: patient}
	}
	a := newNode(t, dial(t, s), "a", cfg())
	var accepted atomic.Int64
	a.sends(1, 5, &accepted)
	until(t, "five are accepted", func() bool { return accepted.Load() == 5 })
	a.Close()

	moved := cfg()
	moved.MapVersion, moved.Place = func() int64 { return 2 }, always(1)
	x := newNode(t, dial(t, s), "x", moved)
	x.verify = func(lane int, _ chat.RoomID, byMap int64) Taken {
		if lane == 0 || byMap < 2 {
			return OtherMap
		}
		return Took
	}
	x.serve(t, 0, true)
	done := &x.Relay.tenure(0).reading.done
	until(t, "the first is handed on", func() bool { return testutil.ToFloat64(x.count.forwarded) > 0 })
	if n := done.Load(); n != 0 || len(x.log()) != 0 {
		t.Errorf("entry %d has ended, %d were decided, and lane 1 has no owner", n, len(x.log()))
	}
	x.serve(t, 1, true)
	until(t, "the entries have ended", func() bool { return done.Load() > 0 })
	x.tookInOrder(t, 5)
}

// Entries of who is online may be of several slots, of which some have left the lane while they
// waited there: they are not decided, and hold up nothing.
func TestQueuedForTwoLanes(t *testing.T) {
	s, servers := startNATS(t, -1), memqueue.NewServers(1<<20)
	place := func(c change.Change) map[int]change.Change {
		if _, ok := c.(*change.Online); ok {
			return map[int]change.Change{0: c, 1: c}
		}
		return always(0)(c)
	}
	x := newNode(t, dial(t, s), "x", Config{Queue: memqueue.New(servers), Always: true, GiveUp: patient, Place: place})
	online := x.forward(0, &change.Online{Changes: []change.OnlineChange{
		{Room: "stays", User: "a", Node: "x", On: true}, {Room: "moved", User: "a", Node: "x", On: true},
	}})
	behind := x.forward(0, message("a", 1))
	x.serve(t, 0, true)
	if _, err := wait(t, online); chat.KindOf(err) != chat.Unavailable {
		t.Errorf("who is online: %v", err)
	}
	if r, err := wait(t, behind); err != nil || r.Seq != 1 {
		t.Errorf("the message behind it: %+v, %v", r, err)
	}
}

// What an owner has handed on the next one does not miss in front of the later entries of the sender.
func TestHandedOnByThePreviousOwner(t *testing.T) {
	s, servers := startNATS(t, -1), memqueue.NewServers(1<<20)
	node := func(name string) *node {
		n := newNode(t, dial(t, s), name, Config{
			Queue: memqueue.New(servers), GiveUp: patient, MapVersion: func() int64 { return 2 }, Place: always(1),
		})
		n.verify = func(lane int, _ chat.RoomID, _ int64) Taken {
			if lane == 0 {
				return OtherMap
			}
			return Took
		}
		return n
	}
	x, y := node("x"), node("y")
	x.serve(t, 1, true)
	first := appendOne(t, x, 1)
	x.serve(t, 0, true)
	until(t, "the first entry has ended", func() bool { return x.progress().Queue == first })
	x.serve(t, 0, false)
	own(t, y, x.progress())
	second := appendOne(t, y, 2)
	until(t, "the second entry has ended", func() bool { return y.progress().Queue == second })
	if n := testutil.ToFloat64(y.count.queueHoles); n != 0 {
		t.Errorf("%v holes are reported", n)
	}
	x.tookInOrder(t, 2)
}

// The sender of what is found there may be the owner itself, and has the same changes open: they are
// handed on in front of its later ones of the slot, and not behind themselves.
func TestOwnersChangesForALaneThatWasLeft(t *testing.T) {
	s, servers := startNATS(t, -1), memqueue.NewServers(1<<20)
	var version atomic.Int64
	version.Store(1)
	x := newNode(t, dial(t, s), "x", Config{
		Queue: memqueue.New(servers), Overflow: 20 * time.Millisecond, GiveUp: patient,
		MapVersion: version.Load, Moved: func(chat.Slot) int64 { return version.Load() },
		Place: func(c change.Change) map[int]change.Change { return always(int(version.Load()) - 1)(c) },
	})
	x.verify = func(lane int, _ chat.RoomID, byMap int64) Taken {
		if lane == 0 || byMap < 2 {
			return OtherMap
		}
		return Took
	}
	var accepted atomic.Int64
	outcomes := x.sends(1, 5, &accepted)
	until(t, "five are accepted", func() bool { return accepted.Load() == 5 })
	version.Store(2)
	outcomes = append(outcomes, x.forward(1, message("x", 6)))
	x.serve(t, 1, true)
	x.serve(t, 0, true)
	answeredInOrder(t, outcomes)
	x.tookInOrder(t, 6)
	if n := accepted.Load(); n != 5 {
		t.Errorf("it is said %d times that something is accepted", n)
	}
}

// A change may reach the owner directly when its slot has left the lane, and be in the durable queue
// as well, in front of later ones of its sender: then it is handed on from there, in front of them,
// and nowhere else.
func TestRefusedAndQueued(t *testing.T) {
	s, servers := startNATS(t, -1), memqueue.NewServers(1<<20)
	var version atomic.Int64
	version.Store(1)
	cfg := func() Config {
		return Config{
			Queue: memqueue.New(servers), Overflow: 20 * time.Millisecond, GiveUp: patient,
			MapVersion: version.Load, Moved: func(chat.Slot) int64 { return version.Load() },
			Place: func(c change.Change) map[int]change.Change { return always(int(version.Load()) - 1)(c) },
		}
	}
	o := newNode(t, dial(t, s), "o", cfg())
	o.verify = func(lane int, _ chat.RoomID, byMap int64) Taken {
		if lane == 0 && version.Load() == 2 || byMap < version.Load() {
			return OtherMap
		}
		return Took
	}
	o.serve(t, 0, true)
	o.serve(t, 1, true)
	release, err := o.HoldQueue(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	late := make(chan func() error, 100)
	a := newNode(t, dial(t, s), "a", cfg(), func(r *Relay) {
		publish := r.publish
		r.publish = func(subject string, data []byte) error {
			if data := slices.Clone(data); subject == r.laneSubject("ch", 0) && version.Load() == 1 {
				late <- func() error { return publish(subject, data) }
				return nil
			}
			return publish(subject, data)
		}
	})
	var accepted atomic.Int64
	outcomes := a.sends(1, 1, &accepted)
	until(t, "it is accepted", func() bool { return accepted.Load() == 1 })
	outcomes = append(outcomes, a.sends(2, 2, &accepted)...)
	until(t, "both are accepted", func() bool { return accepted.Load() == 2 })
	version.Store(2)
	if err := (<-late)(); err != nil {
		t.Fatal(err)
	}
	owner := o.Relay.tenure(0)
	until(t, "the first is refused", func() bool {
		owner.mu.Lock()
		defer owner.mu.Unlock()
		of := owner.streams[a.from]
		return of != nil && of.isMoved(1)
	})
	until(t, "its sender has heard of that", func() bool {
		q := a.queues[0]
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.received > 1
	})
	release()
	answeredInOrder(t, outcomes)
	until(t, "the entries have ended", func() bool { return owner.reading.done.Load() == 2 })
	o.tookInOrder(t, 2)
}

// What is refused as its slot has left the lane takes the later ones of the slot with it, in their
// order: one of them could get into the durable queue, and so in front of it.
func TestRefusedTogether(t *testing.T) {
	cfg := Config{NATS: dial(t, startNATS(t, -1)), Prefix: "rt.test", Lanes: 1, Submit: (&node{}).submit, Place: always(0)}
	if err := cfg.fill(); err != nil {
		t.Fatal(err)
	}
	r := newRelay(cfg)
	for n := range 3 {
		r.Forward(0, message("a", n+1), func(change.Reply, error) {})
		r.Forward(0, &change.Online{}, func(change.Reply, error) {})
	}
	q := r.queues[0]
	if _, ok := q.cut(nil, 0); !ok {
		t.Fatal("nothing is sent")
	}
	var refused []uint64
	for _, v := range q.heard(&answer{outcomes: []outcome{{n: 3, how: moved, slots: 2}}}, time.Now()) {
		if refused = append(refused, v.n); v.how != moved || v.slots != 2 {
			t.Errorf("%d: %+v", v.n, v.outcome)
		}
	}
	if !slices.Equal(refused, []uint64{3, 5}) || q.open != 4 {
		t.Errorf("%v are refused, %d open", refused, q.open)
	}
}
