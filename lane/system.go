package lane

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/store"
)

func (b *batch) needOnline(*change.Online) {}

func (b *batch) applyOnline(c *change.Online) (change.Reply, error) {
	for _, o := range c.Changes {
		b.online = append(b.online, store.SeatChange{Room: o.Room, Seat: store.Seat{User: o.User, Node: o.Node}, On: o.On})
	}
	return change.Reply{Changed: true}, nil
}

func (b *batch) needCursor(*change.Cursor) {}

func (b *batch) applyCursor(c *change.Cursor) (change.Reply, error) {
	b.cursors = append(b.cursors, store.Cursor{Consumer: c.Consumer, Position: c.Position})
	return change.Reply{Changed: true}, nil
}

func (b *batch) needNop(*change.Nop) {}

func (b *batch) applyNop(*change.Nop) (change.Reply, error) { return change.Reply{}, nil }
