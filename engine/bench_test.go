package engine_test

import (
	"fmt"
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
)

// BenchmarkRooms lists the rooms of a user who is in many, with so many messages of
// others behind each read mark.
func BenchmarkRooms(b *testing.B) {
	for _, c := range []struct{ rooms, unread int }{{1000, 0}, {1000, 10}, {1000, 100}, {100, 1100}} {
		n := newNode(b, nil)
		var ids []chat.RoomID
		for i := range c.rooms {
			ids = append(ids, chat.RoomID(fmt.Sprintf("room-%04d", i)))
		}
		n.put(b, "ann", ids...)
		for _, id := range ids {
			n.fill(b, id, c.unread)
		}
		name := fmt.Sprintf("%dx%d", c.rooms, c.unread)
		for _, order := range []string{"id", "activity"} {
			b.Run(name+"/"+order, func(b *testing.B) {
				for b.Loop() {
					r, err := n.Rooms(b.Context(), as("ann"), engine.RoomsOptions{Order: order})
					if err != nil || len(r.Rooms) != c.rooms {
						b.Fatalf("%d rooms, %v", len(r.Rooms), err)
					}
				}
			})
		}
		b.Run(name+"/unread", func(b *testing.B) {
			for b.Loop() {
				if _, err := n.Unread(b.Context(), as("ann")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// fill posts messages of an ordinary size.
func (n *node) fill(b *testing.B, room chat.RoomID, count int) {
	b.Helper()
	errs := make(chan error, count)
	for range count {
		n.Submit(asHost("bob"), &change.Send{Room: room, Draft: chat.Draft{Text: fmt.Sprintf("%0120d", 0)}}, func(_ change.Reply, err error) { errs <- err })
	}
	for range count {
		if err := <-errs; err != nil {
			b.Fatal(err)
		}
	}
}
