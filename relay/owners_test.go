package relay

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// The lane passes from node to node while changes come, some of them lost or doubled. Each
// owner takes them in the order of each sender, none is missing, and what is taken again is
// taken again in order.
func TestOwnersChange(t *testing.T) {
	s := startNATS(t, -1)
	owners := []*node{
		newNode(t, dial(t, s), "x", Config{}, lossy(11, false)),
		newNode(t, dial(t, s), "y", Config{}, lossy(12, false)),
	}
	const each, handovers = 2000, 8
	names := []string{"a", "b", "c"}
	var senders []*node
	for i, name := range names {
		senders = append(senders, newNode(t, dial(t, s), name, Config{GiveUp: time.Hour}, lossy(uint64(i), false)))
	}
	outcomes := newTally()
	var all sync.WaitGroup
	for _, n := range senders {
		all.Go(func() { forwardAll(t, n, each, outcomes) })
	}
	total := len(names) * each
	var logs [][]applied
	for i := range handovers {
		owner := owners[i%2]
		from := len(owner.log())
		owner.serve(t, 0, true)
		outcomes.reach(total * (i + 1) / handovers)
		owner.mu.Lock()
		owner.owned[0] = false
		owner.tenure++
		owner.mu.Unlock()
		logs = append(logs, owner.log()[from:])
		if i == handovers/2 { // one is cut off: outcomes of what it took are lost
			owner.mu.Lock()
			owner.queue = nil
			owner.mu.Unlock()
		}
		if err := owner.Own(0, nil); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	if outcomes.count() != total {
		t.Errorf("%d outcomes, want %d", outcomes.count(), total)
	}
	repeats := checkOrder(t, logs, names, each)
	t.Logf("%d changes were taken again", repeats)
}

// The owner dies with what it has taken: the next one takes all of it again, in order.
func TestTakeOver(t *testing.T) {
	s := startNATS(t, -1)
	a := newNode(t, dial(t, s), "a", Config{Repeat: time.Hour, GiveUp: 2 * time.Hour})
	took := make(chan int, 100)
	silent := newNode(t, dial(t, s), "x", Config{}, func(r *Relay) {
		r.cfg.Submit = func(_ int, c change.Change, _ change.Origin, _ change.Done) Taken {
			took <- 1
			return Took
		}
	})
	if err := silent.Own(0, &change.Progress{}); err != nil {
		t.Fatal(err)
	}
	var open []chan result
	for n := 1; n <= 3; n++ {
		open = append(open, a.forward(0, message("a", n)))
	}
	for range open {
		<-took
	}
	if err := silent.Own(0, nil); err != nil {
		t.Fatal(err)
	}
	y := newNode(t, dial(t, s), "y", Config{})
	y.serve(t, 0, true) // its announcement alone makes the sender repeat
	for _, ch := range open {
		if _, err := wait(t, ch); err != nil {
			t.Error(err)
		}
	}
	checkOrder(t, [][]applied{y.log()}, []string{"a"}, 3)
}

// Fenced is no outcome: the sender waits for the new owner.
func TestFenced(t *testing.T) {
	s := startNATS(t, -1)
	a := newNode(t, dial(t, s), "a", Config{})
	fenced := make(chan struct{}, 1)
	x := newNode(t, dial(t, s), "x", Config{}, func(r *Relay) {
		var was atomic.Bool
		r.cfg.Submit = func(_ int, _ change.Change, _ change.Origin, done change.Done) Taken {
			if was.Swap(true) {
				return NotOwner
			}
			done(change.Reply{}, chat.Wrap(chat.Fenced, "lane.commit", errors.New("another owner")))
			fenced <- struct{}{}
			return Took
		}
	})
	if err := x.Own(0, &change.Progress{}); err != nil {
		t.Fatal(err)
	}
	open := a.forward(0, message("a", 1))
	<-fenced
	y := newNode(t, dial(t, s), "y", Config{})
	y.serve(t, 0, true)
	if r, err := wait(t, open); err != nil || r.Seq != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// Answers are lost; the sender asks, and what the owner kept is said again.
func TestOutcomeIsLost(t *testing.T) {
	s := startNATS(t, -1)
	a := newNode(t, dial(t, s), "a", Config{})
	var lost atomic.Bool
	b := newNode(t, dial(t, s), "b", Config{}, func(r *Relay) {
		publish := r.publish
		r.publish = func(subject string, data []byte) error {
			if as, err := decodeAnswers(data); err == nil && len(as) > 0 && len(as[0].outcomes) > 0 && !lost.Swap(true) {
				return nil
			}
			return publish(subject, data)
		}
	})
	b.serve(t, 0, true)
	if r, err := a.do(t, 0, message("a", 1)); err != nil || r.Seq != 1 || !lost.Load() {
		t.Errorf("%+v, %v, lost %v", r, err, lost.Load())
	}
	if len(b.log()) != 1 {
		t.Errorf("%+v", b.log())
	}
}

// A change that the owner's map gives to another lane is routed anew, once this node has
// the owner's map.
func TestOtherMap(t *testing.T) {
	s := startNATS(t, -1)
	b := newNode(t, dial(t, s), "b", Config{MapVersion: func() int64 { return 5 }})
	b.verify = func(lane int, room chat.RoomID, _ int64) Taken {
		if room == "moved" && lane == 0 {
			return OtherMap
		}
		return Took
	}
	b.serve(t, 0, true)
	b.serve(t, 1, true)
	var version, reads atomic.Int64
	version.Store(4)
	a := newNode(t, dial(t, s), "a", Config{
		MapVersion: version.Load,
		Stale: func(v int64) {
			if reads.Add(1) > 1 { // the first time it cannot be read
				version.Store(v)
			}
		},
		Place: always(1),
	})
	moved := []chan result{}
	for n := 1; n <= 3; n++ {
		c := message("a", n)
		c.Room = "moved"
		moved = append(moved, a.forward(0, c))
	}
	if r, err := a.do(t, 0, message("a", 4)); err != nil || r.Seq != 4 {
		t.Errorf("%+v, %v", r, err)
	}
	for n, ch := range moved {
		if r, err := wait(t, ch); err != nil || r.Seq != chat.Seq(n+1) {
			t.Errorf("%+v, %v", r, err)
		}
	}
	var again []int
	for _, a := range b.log()[1:] {
		again = append(again, a.n)
	}
	if version.Load() != 5 || !slices.Equal(again, []int{1, 2, 3}) {
		t.Errorf("map %d, routed anew: %v", version.Load(), again)
	}
}

// A map that cannot be read makes the changes that wait for it unavailable.
func TestMapCannotBeRead(t *testing.T) {
	s := startNATS(t, -1)
	b := newNode(t, dial(t, s), "b", Config{MapVersion: func() int64 { return 5 }})
	b.verify = func(int, chat.RoomID, int64) Taken { return OtherMap }
	b.serve(t, 0, true)
	a := newNode(t, dial(t, s), "a", Config{GiveUp: 100 * time.Millisecond, MapVersion: func() int64 { return 4 }})
	if _, err := a.do(t, 0, message("a", 1)); chat.KindOf(err) != chat.Unavailable {
		t.Error(err)
	}
}

// An owner with an older map than the sender's reads it, and takes nothing before.
func TestOwnerHasAnOlderMap(t *testing.T) {
	s := startNATS(t, -1)
	var version atomic.Int64
	b := newNode(t, dial(t, s), "b", Config{MapVersion: version.Load, Stale: version.Store})
	b.verify = func(int, chat.RoomID, int64) Taken {
		if version.Load() != 3 {
			t.Error("taken by an older map")
		}
		return Took
	}
	b.serve(t, 0, true)
	a := newNode(t, dial(t, s), "a", Config{MapVersion: func() int64 { return 3 }})
	if _, err := a.do(t, 0, message("a", 1)); err != nil {
		t.Error(err)
	}
}

// Messages that are none of the relay's are counted, and nothing else.
func TestGarbage(t *testing.T) {
	s := startNATS(t, -1)
	nc := dial(t, s)
	a, b := newNode(t, nc, "a", Config{}), newNode(t, dial(t, s), "b", Config{})
	b.serve(t, 0, true)
	far := packet{from: 1, lane: 0, base: 1, first: 1}
	bad := append(far.appendHeader(nil), 3, 0xff, 0xff, 0xff) // an entry that is no change
	wrongLane := packet{from: 1, lane: 1, base: 1, first: 1}
	lane9 := announcement{lane: 9, tenure: 1}
	answer9 := answer{lane: 9}
	stray := answer{lane: 0, tenure: 1, next: 1 << 40, want: true, outcomes: []outcome{{n: 5}, {n: 1 << 50}, {n: 0}}}
	for subject, datas := range map[string][][]byte{
		"ch.0":               {nil, {0}, {format, 1, 2}, bad, wrongLane.appendHeader(nil), []byte("hello")},
		"own.0":              {nil, {9, 9}, lane9.append(nil)},
		"ack." + hex(a.from): {nil, {format, 0xff}, answer9.append([]byte{format}), stray.append([]byte{format})},
	} {
		for _, data := range datas {
			if err := nc.Publish("rt.test."+subject, data); err != nil {
				t.Fatal(err)
			}
		}
	}
	if r, err := a.do(t, 0, message("a", 7)); err != nil || r.Seq != 7 {
		t.Errorf("%+v, %v", r, err)
	}
	// The outcome came behind all of it, on both subjects.
	if n := testutil.ToFloat64(b.count.garbage); n < 5 {
		t.Errorf("the owner counts %v messages that are garbage", n)
	}
	if n := testutil.ToFloat64(a.count.garbage); n < 2 {
		t.Errorf("the sender counts %v messages that are garbage", n)
	}
}

// Senders that are silent for long are forgotten, and are new ones afterwards.
func TestSilentSendersAreForgotten(t *testing.T) {
	s := startNATS(t, -1)
	var clock atomic.Int64
	now := func() time.Time { return time.Unix(clock.Load(), 0) }
	nc := dial(t, s)
	a, other, b := newNode(t, nc, "a", Config{}), newNode(t, nc, "c", Config{}), newNode(t, dial(t, s), "b", Config{Now: now})
	b.serve(t, 0, true)
	for n, from := range []*node{a, other, a} {
		if n == 2 {
			clock.Add(120)
		}
		if _, err := from.do(t, 0, message(from.name, n)); err != nil {
			t.Error(err)
		}
	}
	owned := b.tenures[0]
	if err := b.Own(0, nil); err != nil { // its goroutine has ended
		t.Fatal(err)
	}
	if len(owned.streams) != 1 || owned.streams[a.from] == nil {
		t.Errorf("%d senders are known", len(owned.streams))
	}
}
