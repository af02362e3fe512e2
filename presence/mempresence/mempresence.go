// Package mempresence is the presence driver of a single node, in its memory.
package mempresence

import (
	"context"
	"slices"
	"sync"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/presence"
)

// Driver is an in-process presence.Driver.
type Driver struct {
	// Guarded by mu.
	mu    sync.RWMutex
	rooms map[chat.RoomID][]chat.UserID // ascending, none empty
}

var _ presence.Driver = (*Driver)(nil)

// New returns an empty driver.
func New() *Driver { return &Driver{rooms: map[chat.RoomID][]chat.UserID{}} }

// Apply implements presence.Driver. It never fails.
func (d *Driver) Apply(_ context.Context, changes []presence.Change) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range changes {
		users := d.rooms[c.Room]
		i, there := slices.BinarySearch(users, c.User)
		switch {
		case c.On && !there:
			d.rooms[c.Room] = slices.Insert(users, i, c.User)
		case !c.On && there && len(users) == 1:
			delete(d.rooms, c.Room)
		case !c.On && there:
			d.rooms[c.Room] = slices.Delete(users, i, i+1)
		}
	}
	return nil
}

// Online implements presence.Driver. It never fails.
func (d *Driver) Online(_ context.Context, room chat.RoomID, limit int) ([]chat.UserID, int, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	users := d.rooms[room]
	return slices.Clone(users[:min(len(users), max(limit, 0))]), len(users), nil
}

// Close implements presence.Driver.
func (d *Driver) Close() error { return nil }
