// Package bustest is the conformance suite of bus.Bus: a driver that passes it
// keeps what bus.go promises.
package bustest

import (
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
)

// Run checks a driver. open returns the nodes of one fresh bus: one if the bus
// is in process, else at least two. Run closes them.
func Run(t *testing.T, open func(t *testing.T) []bus.Bus) {
	tests := []struct {
		name string
		test func(n *nodes)
	}{
		{"carries whole batches to every subscriber", carries},
		{"carries positions, and events without one", carriesPositions},
		{"gives the batch back to the publisher", givesBack},
		{"keeps lanes apart", keepsApart},
		{"keeps each publisher's order", keepsOrder},
		{"comes once, to its publisher as well", comesOnce},
		{"subscribes once", subscribesOnce},
		{"unsubscribes", unsubscribes},
		{"subscribes again", subscribesAgain},
		{"is not held up by other nodes", isNotHeldUp},
		{"goes on without a node that has ended", goesOn},
		{"ends with Close", ends},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			n := listen(t, open(t))
			tc.test(n)
			for _, b := range n.buses {
				if err := b.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
		})
	}
}

// patience is how long the suite waits for what must come.
const patience = 10 * time.Second

type nodes struct {
	*testing.T
	buses []bus.Bus
	inbox []*inbox
}

// inbox is what one node received.
type inbox struct {
	mu      sync.Mutex
	batches map[bus.Lane][]*bus.Batch
	arrived chan struct{} // holds one token: a batch was added
	hold    chan struct{} // if not nil, the handler waits for it
}

func listen(t *testing.T, buses []bus.Bus) *nodes {
	n := &nodes{T: t, buses: buses}
	for _, b := range buses {
		in := &inbox{batches: map[bus.Lane][]*bus.Batch{}, arrived: make(chan struct{}, 1)}
		n.inbox = append(n.inbox, in)
		b.Listen(in.handle)
	}
	return n
}

// handle keeps a copy, as a receiver has to; the events it may keep.
func (in *inbox) handle(b *bus.Batch) {
	kept := *b
	kept.Rooms = slices.Clone(b.Rooms)
	for i := range kept.Rooms {
		kept.Rooms[i].Events = slices.Clone(kept.Rooms[i].Events)
	}
	in.mu.Lock()
	in.batches[b.Lane] = append(in.batches[b.Lane], &kept)
	hold := in.hold
	in.mu.Unlock()
	select {
	case in.arrived <- struct{}{}:
	default:
	}
	if hold != nil {
		<-hold
	}
}

// of returns what came of a lane so far.
func (in *inbox) of(lane bus.Lane) []*bus.Batch {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.batches[lane]
}

// await waits until count batches of a lane have come.
func (n *nodes) await(node int, lane bus.Lane, count int) []*bus.Batch {
	n.Helper()
	late := time.After(patience)
	for {
		if bs := n.inbox[node].of(lane); len(bs) >= count {
			return bs
		}
		select {
		case <-n.inbox[node].arrived:
		case <-late:
			n.Fatalf("node %d: %d of %d batches of lane %d came", node, len(n.inbox[node].of(lane)), count, lane)
		}
	}
}

func (n *nodes) subscribe(node int, lane bus.Lane) {
	n.Helper()
	if err := n.buses[node].Subscribe(lane); err != nil {
		n.Fatalf("Subscribe: %v", err)
	}
}

func (n *nodes) publish(node int, b *bus.Batch) {
	n.Helper()
	if err := n.buses[node].Publish(b); err != nil {
		n.Fatalf("Publish: %v", err)
	}
}

func carries(n *nodes) {
	const lane = 3
	want := func(position int64) *bus.Batch {
		return &bus.Batch{Lane: lane, After: position - 1, Position: position, Rooms: []bus.RoomEvents{
			{Room: "büro/1 *.>", Events: EveryKind("büro/1 *.>")}, {Room: "b", Events: EveryKind("b")[:1]},
		}}
	}
	for i := range n.buses {
		n.subscribe(i, lane)
	}
	for from := range n.buses {
		position := int64(1) << (20 * from)
		n.publish(from, want(position))
		for i := range n.buses {
			if got := n.await(i, lane, from+1)[from]; !reflect.DeepEqual(got, want(position)) {
				n.Errorf("node %d got %+v, published %+v", i, got, want(position))
			}
		}
	}
}

func carriesPositions(n *nodes) {
	last := len(n.buses) - 1
	n.subscribe(last, 0)
	want := []*bus.Batch{
		{After: 6, Position: 7}, // a commit without events
		{After: 7, Position: 7}, // an idle lane
		bus.Ephemeral(0, &chat.Event{Kind: chat.EventTyping, Room: "r", User: "ann", On: true}),
		commit(0, 9), // behind a hole, which is the receiver's to see
	}
	for _, b := range want {
		n.publish(0, b)
	}
	for i, got := range n.await(last, 0, len(want)) {
		if !reflect.DeepEqual(got, want[i]) {
			n.Errorf("got %+v, published %+v", got, want[i])
		}
	}
}

func givesBack(n *nodes) {
	last := len(n.buses) - 1
	n.subscribe(last, 1)
	b := commit(1, 1)
	for position := range int64(50) {
		next := commit(1, position+1)
		b.After, b.Position, b.Rooms[0].Events[0] = next.After, next.Position, next.Rooms[0].Events[0]
		n.publish(0, b)
	}
	b.Rooms[0].Events[0] = nil
	for i, got := range n.await(last, 1, 50) {
		if want := commit(1, int64(i+1)); !reflect.DeepEqual(got, want) {
			n.Fatalf("got %+v, published %+v", got, want)
		}
	}
}

func keepsApart(n *nodes) {
	last := len(n.buses) - 1
	n.subscribe(last, 1)
	n.publish(0, commit(2, 1)) // without a subscriber: no error
	n.publish(0, commit(1, 1))
	n.publish(0, commit(11, 1))
	n.publish(0, commit(1, 2))
	n.await(last, 1, 2)
	for i, in := range n.inbox {
		if len(in.of(2))+len(in.of(11)) > 0 || i != last && len(in.of(1)) > 0 {
			n.Errorf("node %d got batches it has not subscribed to", i)
		}
	}
}

func keepsOrder(n *nodes) {
	const publishers, batches = 4, 200
	last := len(n.buses) - 1
	var wg sync.WaitGroup
	for p := range publishers {
		lane := bus.Lane(p)
		n.subscribe(last, lane)
		wg.Go(func() {
			for i := range int64(batches) {
				if err := n.buses[0].Publish(commit(lane, i+1)); err != nil {
					n.Errorf("Publish: %v", err)
				}
			}
		})
	}
	wg.Wait()
	for p := range publishers {
		for i, b := range n.await(last, bus.Lane(p), batches) {
			if b.Position != int64(i+1) || b.Lane != bus.Lane(p) {
				n.Fatalf("batch %d of lane %d is %d of lane %d", i, p, b.Position, b.Lane)
			}
		}
	}
}

// comesOnce lets every node publish after what the one before it has published has
// come, so that a copy that is on its way back to its publisher comes before what
// follows.
func comesOnce(n *nodes) {
	const rounds = 5
	for i := range n.buses {
		n.subscribe(i, 1)
	}
	position := int64(0)
	for range rounds * len(n.buses) {
		position++
		from := int(position) % len(n.buses)
		n.publish(from, commit(1, position))
		for i := range n.buses {
			n.await(i, 1, int(position))
		}
	}
	for i := range n.buses {
		for k, b := range n.inbox[i].of(1) {
			if b.Position != int64(k+1) {
				n.Fatalf("node %d got position %d as batch %d", i, b.Position, k+1)
			}
		}
	}
}

func subscribesOnce(n *nodes) {
	last := len(n.buses) - 1
	n.subscribe(last, 1)
	n.subscribe(last, 1)
	n.publish(0, commit(1, 1))
	n.publish(0, commit(1, 2))
	if bs := n.await(last, 1, 2); len(bs) != 2 || bs[1].Position != 2 {
		n.Fatalf("%d batches came for 2", len(bs))
	}
	n.unsubscribe(last, 1)
}

// unsubscribe ends a subscription and waits for the moment in which batches may
// still arrive to pass.
func (n *nodes) unsubscribe(node int, lane bus.Lane) {
	const barrier = 99
	n.Helper()
	if err := n.buses[node].Unsubscribe(lane); err != nil {
		n.Fatalf("Unsubscribe: %v", err)
	}
	n.subscribe(node, barrier)
	late := time.Now().Add(patience)
	for {
		before, passed := len(n.inbox[node].of(lane)), len(n.inbox[node].of(barrier))
		n.publish(0, commit(lane, 1000))
		n.publish(0, commit(barrier, 1))
		n.await(node, barrier, passed+1)
		if len(n.inbox[node].of(lane)) == before {
			return
		}
		if time.Now().After(late) {
			n.Fatal("batches go on arriving after Unsubscribe")
		}
	}
}

func unsubscribes(n *nodes) {
	last := len(n.buses) - 1
	for i := range n.buses {
		n.subscribe(i, 1)
	}
	n.unsubscribe(last, 1)
	count := len(n.inbox[0].of(1))
	if err := n.buses[last].Unsubscribe(1); err != nil {
		n.Fatalf("Unsubscribe of what is not subscribed: %v", err)
	}
	if last > 0 { // another node's subscription is its own
		n.publish(0, commit(1, 5))
		n.await(0, 1, count+1)
	}
}

func subscribesAgain(n *nodes) {
	last := len(n.buses) - 1
	for i := range int64(20) {
		n.subscribe(last, 1)
		before := len(n.inbox[last].of(1))
		n.publish(0, commit(1, i+1))
		n.await(last, 1, before+1)
		if err := n.buses[last].Unsubscribe(1); err != nil {
			n.Fatalf("Unsubscribe: %v", err)
		}
	}
}

func isNotHeldUp(n *nodes) {
	hold := make(chan struct{})
	defer close(hold)
	for i := range n.buses {
		n.subscribe(i, 1)
		if i > 0 {
			n.inbox[i].mu.Lock()
			n.inbox[i].hold = hold
			n.inbox[i].mu.Unlock()
		}
	}
	for i := range int64(100) {
		n.publish(0, commit(1, i+1))
	}
	n.await(0, 1, 100)
}

func goesOn(n *nodes) {
	last := len(n.buses) - 1
	if last == 0 {
		return // there is no other node
	}
	for i := range n.buses {
		n.subscribe(i, 1)
	}
	if err := n.buses[last].Close(); err != nil {
		n.Fatalf("Close: %v", err)
	}
	n.buses = n.buses[:last]
	for i := range n.buses {
		n.publish(i, commit(1, int64(i+1)))
		for to := range n.buses {
			n.await(to, 1, i+1)
		}
	}
	if len(n.inbox[last].of(1)) != 0 {
		n.Error("a batch came after Close")
	}
}

func ends(n *nodes) {
	b := n.buses[0]
	n.subscribe(0, 1)
	if err := b.Close(); err != nil {
		n.Fatalf("Close: %v", err)
	}
	for name, err := range map[string]error{
		"Publish":     b.Publish(commit(1, 1)),
		"Subscribe":   b.Subscribe(1),
		"Unsubscribe": b.Unsubscribe(1),
	} {
		var e *chat.Error
		if !errors.As(err, &e) || e.Kind != chat.Unavailable {
			n.Errorf("%s after Close: %v", name, err)
		}
	}
	if len(n.inbox[0].of(1)) != 0 {
		n.Error("a batch came after Close")
	}
	n.buses = n.buses[1:] // what a second Close does is not said
}
