package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/roomtide/roomtide/chat"
)

// fakeDriver answers what a test says; what it does not say panics.
type fakeDriver struct {
	Driver
	rooms  bool // HasRooms
	room   func(ctx context.Context) (chat.Room, error)
	closed int
}

func (d *fakeDriver) HasRooms(context.Context) (bool, error) { return d.rooms, nil }

func (d *fakeDriver) Close() error { d.closed++; return nil }

func (d *fakeDriver) Room(ctx context.Context, _ chat.RoomID) (chat.Room, error) { return d.room(ctx) }

// fakeControl keeps the slot map.
type fakeControl struct {
	Control
	saved  *Map
	fail   error      // of SaveMap
	before func(*Map) // called by SaveMap
	closed int
}

func (c *fakeControl) Map(context.Context) (*Map, error) {
	if c.saved == nil {
		return nil, chat.E(chat.NotFound, "")
	}
	return c.saved, nil
}

func (c *fakeControl) SaveMap(_ context.Context, m *Map) error {
	if c.before != nil {
		c.before(m)
	}
	if c.fail == nil {
		c.saved = m
	}
	return c.fail
}

func (c *fakeControl) Close() error { c.closed++; return nil }

// fakeOpener is a deployment in memory. What was opened must be closed, in the
// right order.
type fakeOpener struct {
	names   []string     // of a first start
	more    []string     // besides those of the map
	control *fakeControl // nil: missing
	fail    error        // of OpenShard for a shard that is not there

	mu     sync.Mutex
	shards map[string]*fakeDriver
	locked bool
	opened int // times that anything was opened
}

func newFakeOpener(shards int) *fakeOpener {
	o := &fakeOpener{shards: map[string]*fakeDriver{}}
	for i := range shards {
		o.names = append(o.names, fmt.Sprint("s", i))
	}
	return o
}

func (o *fakeOpener) Names(first bool) []string {
	if first {
		return o.names
	}
	return o.more
}

func (o *fakeOpener) Lock(context.Context) error {
	if o.locked {
		return chat.E(chat.Unavailable, "locked")
	}
	o.locked = true
	return nil
}

func (o *fakeOpener) OpenControl(_ context.Context, create bool) (Control, error) {
	if o.control == nil && !create {
		return nil, chat.E(chat.NotFound, "")
	}
	if o.control == nil {
		o.control = &fakeControl{}
	}
	o.opened++
	return o.control, nil
}

func (o *fakeOpener) OpenShard(_ context.Context, name string, create bool) (Driver, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.shards[name] == nil && o.fail != nil {
		return nil, o.fail
	}
	if o.shards[name] == nil && !create {
		return nil, chat.E(chat.NotFound, "")
	}
	if o.shards[name] == nil {
		o.shards[name] = &fakeDriver{}
	}
	o.opened++
	return o.shards[name], nil
}

func (o *fakeOpener) Close() error {
	if o.open() != 0 {
		return errors.New("the lock was given back before everything was closed")
	}
	o.locked = false
	return nil
}

// lose deletes a shard that is closed.
func (o *fakeOpener) lose(name string) {
	o.opened -= o.shards[name].closed
	delete(o.shards, name)
}

// open is how many databases are open.
func (o *fakeOpener) open() int {
	n := o.opened
	for _, s := range o.shards {
		n -= s.closed
	}
	if o.control != nil {
		n -= o.control.closed
	}
	return n
}

func (o *fakeOpener) made() []string {
	var names []string
	for n := range o.shards {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
