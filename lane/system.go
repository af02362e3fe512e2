package lane

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/store"
)

func (b *batch) needOnline(*change.Online) {}

func (b *batch) applyOnline(c *change.Online) (change.Reply, error) {
	for _, o := range c.Changes {
		b.online = append(b.online, store.OnlineChange{Room: o.Room, OnlineEntry: store.OnlineEntry{User: o.User, Node: o.Node}, On: o.On})
	}
	return change.Reply{Changed: true}, nil
}

func (b *batch) needCursors(*change.Cursors) {}

func (b *batch) applyCursors(c *change.Cursors) (change.Reply, error) {
	for _, cursor := range c.Cursors {
		b.setCursor(store.Cursor(cursor))
	}
	return change.Reply{Changed: true}, nil
}

// setCursor replaces what the batch has of the consumer, of which a commit holds one cursor. Reads of
// a feed, for one, may have the same one saved twice.
func (b *batch) setCursor(c store.Cursor) {
	for i := range b.cursors {
		if b.cursors[i].Consumer == c.Consumer {
			b.cursors[i] = c
			return
		}
	}
	b.cursors = append(b.cursors, c)
}

func (b *batch) needNop(*change.Nop) {}

func (b *batch) applyNop(*change.Nop) (change.Reply, error) { return change.Reply{}, nil }
