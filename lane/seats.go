package lane

import (
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Seats notes who is online in rooms of one slot, for the answer of last
// resort to "who is online" (see store.Driver.Online).
type Seats struct {
	At      chat.Slot
	Changes []store.OnlineChange
}

func (o *Seats) Slot() chat.Slot { return o.At }

func (o *Seats) size() int { return 128 * len(o.Changes) }

func (o *Seats) need(*batch) {}

func (o *Seats) apply(b *batch) (Reply, error) {
	b.seats = append(b.seats, o.Changes...)
	return Reply{Changed: true}, nil
}

// nop changes nothing; it marks a place in the lane.
type nop struct{}

func (nop) Slot() chat.Slot { return 0 }

func (nop) size() int { return 0 }

func (nop) need(*batch) {}

func (nop) apply(*batch) (Reply, error) { return Reply{}, nil }
