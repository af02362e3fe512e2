// Package bustest is the conformance suite of bus.Bus: a driver that passes it
// keeps what bus.go promises.
package bustest

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
)

// Run checks a driver. open returns the nodes of one fresh bus: one if the bus
// is in process, else at least two.
func Run(t *testing.T, open func(t *testing.T) []bus.Bus) {
	tests := []struct {
		name string
		test func(n *nodes)
	}{
		{"carries whole events to every subscriber", carries},
		{"keeps rooms apart", keepsApart},
		{"keeps each publisher's order", keepsOrder},
		{"subscribes once", subscribesOnce},
		{"unsubscribes", unsubscribes},
		{"subscribes again", subscribesAgain},
		{"is not held up by other nodes", isNotHeldUp},
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
	events  map[chat.RoomID][]*chat.Event
	arrived chan struct{} // holds one token: something was added
	hold    chan struct{} // if not nil, the handler waits for it
}

func listen(t *testing.T, buses []bus.Bus) *nodes {
	n := &nodes{T: t, buses: buses}
	for _, b := range buses {
		in := &inbox{events: map[chat.RoomID][]*chat.Event{}, arrived: make(chan struct{}, 1)}
		n.inbox = append(n.inbox, in)
		b.Listen(in.handle)
	}
	return n
}

func (in *inbox) handle(room chat.RoomID, events []*chat.Event) {
	in.mu.Lock()
	in.events[room] = append(in.events[room], events...)
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

// of returns what came of a room so far.
func (in *inbox) of(room chat.RoomID) []*chat.Event {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.events[room]
}

// await waits until count events of a room have come.
func (n *nodes) await(node int, room chat.RoomID, count int) []*chat.Event {
	n.Helper()
	late := time.After(patience)
	for {
		if evs := n.inbox[node].of(room); len(evs) >= count {
			return evs
		}
		select {
		case <-n.inbox[node].arrived:
		case <-late:
			n.Fatalf("node %d: %d of %d events of %s came", node, len(n.inbox[node].of(room)), count, room)
		}
	}
}

func (n *nodes) subscribe(node int, room chat.RoomID) {
	n.Helper()
	if err := n.buses[node].Subscribe(room); err != nil {
		n.Fatalf("Subscribe: %v", err)
	}
}

func (n *nodes) publish(node int, room chat.RoomID, revs ...chat.Rev) {
	n.Helper()
	var evs []*chat.Event
	for _, rev := range revs {
		evs = append(evs, message(room, rev))
	}
	if err := n.buses[node].Publish(room, evs); err != nil {
		n.Fatalf("Publish: %v", err)
	}
}

func message(room chat.RoomID, rev chat.Rev) *chat.Event {
	return &chat.Event{Kind: chat.EventMessage, Room: room, Rev: rev, Message: &chat.Message{
		Room: room, Seq: chat.Seq(rev), Rev: rev, Created: rev, User: "ann", Text: fmt.Sprint("text ", rev),
	}}
}

// EveryKind returns an event of every kind with every field that the kind has.
func EveryKind(room chat.RoomID) []*chat.Event {
	return []*chat.Event{
		{Kind: chat.EventMessage, Room: room, Rev: 1, Message: &chat.Message{
			Room: room, Seq: 1, Rev: 1, Created: 1, User: "ann", Text: "héllo\x00\"", Time: 1700000000123, Key: "k",
			Digest: -5, ReplyTo: 7, Data: []byte(`{"a":1}`), Edited: 3, Reactions: []chat.Reaction{{Emoji: "👍", Users: []chat.UserID{"bob"}}}}},
		{Kind: chat.EventEdited, Room: room, Rev: 2, Message: &chat.Message{Room: room, Seq: 1, Rev: 2, Text: "new"}},
		{Kind: chat.EventDeleted, Room: room, Rev: 3, Message: &chat.Message{Room: room, Seq: 1, Rev: 3, Deleted: true}},
		{Kind: chat.EventReacted, Room: room, Rev: 4, Seq: 1, User: "ann", Emoji: "👍", On: true},
		{Kind: chat.EventMember, Room: room, Rev: 5, Member: &chat.Member{Room: room, User: "bob", Name: "Bob", Role: chat.RoleModerator, Rev: 5, Since: 9}},
		{Kind: chat.EventRoom, Room: room, Rev: 6, Info: &chat.Room{ID: room, Title: "t", Open: true, ReadOnly: true, LastSeq: 1, Rev: 6, InfoRev: 6, Members: 2, Created: 4}},
		{Kind: chat.EventMembers, Room: room, First: 7, Rev: 9, Count: 5000},
		{Kind: chat.EventPresence, Room: room, Presence: &chat.Presence{Online: 2, Came: []chat.UserID{"a"}, Went: []chat.UserID{"b"}}},
		{Kind: chat.EventTyping, Room: room, User: "ann", On: true},
		{Kind: chat.EventRead, Room: room, User: "ann", Seq: 1},
	}
}

func carries(n *nodes) {
	const room = "büro/1 *.>"
	for i := range n.buses {
		n.subscribe(i, room)
	}
	for from := range n.buses {
		want := EveryKind(room)
		if err := n.buses[from].Publish(room, EveryKind(room)); err != nil {
			n.Fatalf("Publish: %v", err)
		}
		for i := range n.buses {
			got := n.await(i, room, (from+1)*len(want))[from*len(want):]
			for k := range want {
				if !reflect.DeepEqual(got[k], want[k]) {
					n.Errorf("node %d got %+v, published %+v", i, got[k], want[k])
				}
			}
		}
	}
}

func keepsApart(n *nodes) {
	last := len(n.buses) - 1
	n.subscribe(last, "a")
	n.publish(0, "b", 1) // nobody wants it: no error
	n.publish(0, "a", 1)
	n.publish(0, "aa", 1)
	n.publish(0, "a", 2)
	n.await(last, "a", 2)
	for i, in := range n.inbox {
		if len(in.of("b"))+len(in.of("aa")) > 0 || i != last && len(in.of("a")) > 0 {
			n.Errorf("node %d got events it has not subscribed to", i)
		}
	}
}

func keepsOrder(n *nodes) {
	const publishers, batches = 4, 200
	last := len(n.buses) - 1
	var wg sync.WaitGroup
	for p := range publishers {
		room := chat.RoomID(fmt.Sprint("room", p))
		n.subscribe(last, room)
		wg.Go(func() {
			for i := range chat.Rev(batches) {
				err := n.buses[0].Publish(room, []*chat.Event{message(room, 2*i+1), message(room, 2*i+2)})
				if err != nil {
					n.Errorf("Publish: %v", err)
				}
			}
		})
	}
	wg.Wait()
	for p := range publishers {
		room := chat.RoomID(fmt.Sprint("room", p))
		for i, ev := range n.await(last, room, 2*batches) {
			if ev.Rev != chat.Rev(i+1) || ev.Room != room {
				n.Fatalf("event %d of %s is rev %d of %s", i, room, ev.Rev, ev.Room)
			}
		}
	}
}

func subscribesOnce(n *nodes) {
	last := len(n.buses) - 1
	n.subscribe(last, "a")
	n.subscribe(last, "a")
	n.publish(0, "a", 1)
	n.publish(0, "a", 2)
	if evs := n.await(last, "a", 2); len(evs) != 2 || evs[1].Rev != 2 {
		n.Fatalf("%d events came for 2", len(evs))
	}
	n.unsubscribe(last, "a")
}

// unsubscribe ends a subscription and waits for the moment in which events may
// still arrive to pass.
func (n *nodes) unsubscribe(node int, room chat.RoomID) {
	n.Helper()
	if err := n.buses[node].Unsubscribe(room); err != nil {
		n.Fatalf("Unsubscribe: %v", err)
	}
	n.subscribe(node, "barrier")
	late := time.Now().Add(patience)
	for {
		before, passed := len(n.inbox[node].of(room)), len(n.inbox[node].of("barrier"))
		n.publish(0, room, 1000)
		n.publish(0, "barrier", 1)
		n.await(node, "barrier", passed+1)
		if len(n.inbox[node].of(room)) == before {
			return
		}
		if time.Now().After(late) {
			n.Fatal("events go on arriving after Unsubscribe")
		}
	}
}

func unsubscribes(n *nodes) {
	last := len(n.buses) - 1
	for i := range n.buses {
		n.subscribe(i, "a")
	}
	n.unsubscribe(last, "a")
	count := len(n.inbox[0].of("a"))
	if err := n.buses[last].Unsubscribe("a"); err != nil {
		n.Fatalf("Unsubscribe of what is not subscribed: %v", err)
	}
	if last > 0 { // another node's subscription is its own
		n.publish(0, "a", 5)
		n.await(0, "a", count+1)
	}
}

func subscribesAgain(n *nodes) {
	last := len(n.buses) - 1
	for i := range 20 {
		n.subscribe(last, "a")
		before := len(n.inbox[last].of("a"))
		n.publish(0, "a", chat.Rev(i+1))
		n.await(last, "a", before+1)
		if err := n.buses[last].Unsubscribe("a"); err != nil {
			n.Fatalf("Unsubscribe: %v", err)
		}
	}
}

func isNotHeldUp(n *nodes) {
	hold := make(chan struct{})
	defer close(hold)
	for i := range n.buses {
		n.subscribe(i, "a")
		if i > 0 {
			n.inbox[i].mu.Lock()
			n.inbox[i].hold = hold
			n.inbox[i].mu.Unlock()
		}
	}
	for rev := range chat.Rev(100) {
		n.publish(0, "a", rev+1)
	}
	n.await(0, "a", 100)
}

func ends(n *nodes) {
	b := n.buses[0]
	n.subscribe(0, "a")
	if err := b.Close(); err != nil {
		n.Fatalf("Close: %v", err)
	}
	for name, err := range map[string]error{
		"Publish":     b.Publish("a", []*chat.Event{message("a", 1)}),
		"Subscribe":   b.Subscribe("a"),
		"Unsubscribe": b.Unsubscribe("a"),
	} {
		var e *chat.Error
		if !errors.As(err, &e) || e.Kind != chat.Unavailable {
			n.Errorf("%s after Close: %v", name, err)
		}
	}
	if len(n.inbox[0].of("a")) != 0 {
		n.Error("an event came after Close")
	}
	n.buses = n.buses[1:] // what a second Close does is not said
}
