// Package presencetest is the conformance suites of presence.Driver and
// presence.Record.
package presencetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/presence"
)

// Run checks a driver. open returns the nodes of one fresh set: one if it is in
// process, else at least two.
func Run(t *testing.T, open func(t *testing.T) []presence.Driver) {
	tests := []struct {
		name string
		test func(n *nodes)
	}{
		{"is empty at first", empty},
		{"applies in order", inOrder},
		{"applies twice as once", twice},
		{"keeps rooms apart", apart},
		{"lists in order up to the limit", lists},
		{"counts a user of many nodes once", once},
		{"answers while changes are applied", meanwhile},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			n := &nodes{t, open(t)}
			tc.test(n)
			for _, d := range n.drivers {
				if err := d.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
		})
	}
}

type nodes struct {
	*testing.T
	drivers []presence.Driver
}

func (n *nodes) apply(node int, changes ...presence.Change) {
	n.Helper()
	if err := n.drivers[node].Apply(n.Context(), changes); err != nil {
		n.Fatalf("Apply: %v", err)
	}
}

func on(room chat.RoomID, user chat.UserID) presence.Change {
	return presence.Change{Room: room, User: user, On: true}
}

func off(room chat.RoomID, user chat.UserID) presence.Change {
	return presence.Change{Room: room, User: user}
}

// expect asks every node.
func (n *nodes) expect(room chat.RoomID, limit, count int, users ...chat.UserID) {
	n.Helper()
	for i, d := range n.drivers {
		got, c, err := d.Online(n.Context(), room, limit)
		if err != nil || c != count || !slices.Equal(got, users) {
			n.Errorf("node %d: room %s limit %d: got %v, %d, %v; want %v, %d", i, room, limit, got, c, err, users, count)
		}
	}
}

func empty(n *nodes) {
	n.expect("a", 10, 0)
	n.apply(0)
	n.apply(0, off("a", "ann"))
	n.expect("a", 10, 0)
}

func inOrder(n *nodes) {
	n.apply(0, on("a", "ann"), off("a", "ann"), on("a", "bob"), off("a", "cid"), on("a", "cid"))
	n.expect("a", 10, 2, "bob", "cid")
	n.apply(0, off("a", "bob"), off("a", "cid"), on("a", "ann"))
	n.expect("a", 10, 1, "ann")
	n.apply(0, off("a", "ann"))
	n.expect("a", 10, 0)
}

func twice(n *nodes) {
	n.apply(0, on("a", "ann"), on("a", "ann"))
	n.apply(0, on("a", "ann"))
	n.expect("a", 10, 1, "ann")
	n.apply(0, off("a", "ann"))
	n.apply(0, off("a", "ann"))
	n.expect("a", 10, 0)
}

func apart(n *nodes) {
	n.apply(0, on("a", "ann"), on("a b", "bob"), on("büro:{1}", "cid*"))
	n.apply(0, off("a b", "ann"))
	n.expect("a", 10, 1, "ann")
	n.expect("a b", 10, 1, "bob")
	n.expect("büro:{1}", 10, 1, "cid*")
}

func lists(n *nodes) {
	var changes []presence.Change
	var users []chat.UserID
	for i := range 300 {
		u := chat.UserID(fmt.Sprintf("u%03d", i))
		users = append(users, u)
		changes = append(changes, on("a", chat.UserID(fmt.Sprintf("u%03d", i*7%300)))) // in another order
	}
	n.apply(0, changes...)
	n.expect("a", 300, 300, users...)
	n.expect("a", 1000, 300, users...)
	n.expect("a", 3, 300, users[:3]...)
	n.expect("a", 0, 300)
}

func once(n *nodes) {
	for i := range n.drivers {
		n.apply(i, on("a", "ann"))
		n.apply(i, on("a", chat.UserID(fmt.Sprint("node", i))))
	}
	got, count, err := n.drivers[0].Online(n.Context(), "a", 100)
	if err != nil || count != len(n.drivers)+1 || len(got) != count || got[0] != "ann" {
		n.Fatal(got, count, err)
	}
	for i := range n.drivers { // offline when offline on the last node
		n.expect("a", 1, count-i, "ann")
		n.apply(i, off("a", chat.UserID(fmt.Sprint("node", i))))
		n.apply(i, off("a", "ann"))
	}
	n.expect("a", 10, 0)
}

func meanwhile(n *nodes) {
	ctx, cancel := context.WithCancel(n.Context())
	defer cancel()
	n.apply(0, on("a", "ann"))
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 100 {
				got, count, err := n.drivers[0].Online(ctx, "a", 10)
				if err != nil || count < 1 || !slices.Contains(got, "ann") {
					n.Errorf("got %v, %d, %v", got, count, err)
				}
			}
		})
	}
	for range 100 {
		n.apply(0, on("a", "bob"))
		n.apply(0, off("a", "bob"))
	}
	wg.Wait()
}
