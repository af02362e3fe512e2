// Package store is where the truth lives: rooms, members, messages, read marks.
//
// Store is what the rest of the program uses. It knows which shard owns a slot,
// gives every call a deadline, counts and times it, and makes every error a
// *chat.Error; it encodes outbox entries, merges the sources of a Delta, and
// makes or finds the databases at start. A Driver is one shard and only talks to
// its database; a new one is done when it passes the suite in storetest. All
// writing goes through lanes (package lane), which load the rows a batch depends
// on, decide, and commit everything at once.
package store

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
)

// Store routes every question to the shard that owns the room or user.
type Store struct {
	Control Control

	// Set once.
	shards []*Shard
	opener Opener // nil if the Store was not made by Open
	bounds Bounds // of all calls

	slots   atomic.Pointer[Map] // in force; a Map is never changed
	mapping sync.Mutex          // held while slots is replaced
}

// New makes a Store of opened shards, one for each name in m, in its order.
// Close closes them. reg may be nil.
func New(m *Map, shards []Driver, c Control, reg prometheus.Registerer) (*Store, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	if len(shards) != len(m.Shards) {
		return nil, chat.E(chat.Invalid, "the slot map names another number of shards than were opened")
	}
	metrics := newMetrics(reg)
	s := &Store{bounds: Bounds{defaultCall, defaultSettle}}
	s.Control = newControl(c, metrics, &s.bounds)
	s.slots.Store(m)
	for i, d := range shards {
		owns := func(slot chat.Slot) bool { return s.ShardOf(slot) == i }
		s.shards = append(s.shards, &Shard{Reader{caller{name: m.Shards[i], metrics: metrics, bounds: &s.bounds}, d, owns}})
	}
	return s, nil
}

// Shards returns every shard, in the map's order.
func (s *Store) Shards() []*Shard { return s.shards }

// ShardNamed returns the number of a shard; ok is false if there is none of the name.
func (s *Store) ShardNamed(name string) (number int, ok bool) {
	number = slices.IndexFunc(s.shards, func(d *Shard) bool { return d.Name() == name })
	return number, number >= 0
}

// ShardOf returns the number of the shard that owns the slot. It changes when slots
// move; a shard that was the owner answers for them some time longer (package mover).
func (s *Store) ShardOf(slot chat.Slot) int { return int(s.slots.Load().Owner[slot]) }

// MapVersion is the version of the slot map in force.
func (s *Store) MapVersion() int64 { return s.slots.Load().Version }

// Owns reports whether the shard owns the slot, as a map of the version may have said: since
// that version the slot has not moved.
func (s *Store) Owns(shard int, slot chat.Slot, version int64) bool {
	m := s.slots.Load()
	return int(m.Owner[slot]) == shard && m.Moved[slot] <= version
}

// Moved is the version of the map in which a slot has got its owner, 0 if it never moved.
func (s *Store) Moved(slot chat.Slot) int64 { return s.slots.Load().Moved[slot] }

// Assign makes a shard the owner of the slots, if the version of the map is still the one
// that is given: a new version is saved, and then in force. Conflict if the map is another
// one, stored or here. After another error it may have been saved, or may be soon; Confirm
// finds out.
// Nothing is said of the rows and the lanes of the slots, which is the caller's part.
func (s *Store) Assign(ctx context.Context, slots *SlotSet, shard int, version int64) error {
	s.mapping.Lock()
	defer s.mapping.Unlock()
	if version != s.slots.Load().Version {
		return &chat.Error{Kind: chat.Conflict, Op: "store.assign", Text: "the slot map has been changed meanwhile"}
	}
	next := *s.slots.Load()
	next.Version++
	next.Moved = maps.Clone(next.Moved)
	for slot := range slots.All() {
		if next.Moved == nil {
			next.Moved = map[chat.Slot]int64{}
		}
		next.Owner[slot], next.Moved[slot] = uint16(shard), next.Version
	}
	if err := s.Control.SaveMap(ctx, &next); err != nil {
		return err
	}
	s.slots.Store(&next)
	return nil
}

// Reload puts the stored map in force. Conflict if slots belong to shards that are not
// open here, or in another order.
func (s *Store) Reload(ctx context.Context) error {
	s.mapping.Lock()
	defer s.mapping.Unlock()
	m, err := s.Control.Map(ctx)
	if err == nil {
		err = s.fits(m)
	}
	if err == nil {
		s.slots.Store(m)
	}
	return err
}

// Confirm saves the stored map as a new version, and puts it in force. An Assign of
// another node that has not succeeded before fails then.
func (s *Store) Confirm(ctx context.Context) error {
	for {
		if err := s.Reload(ctx); err != nil {
			return err
		}
		if err := s.Assign(ctx, &SlotSet{}, 0, s.MapVersion()); chat.KindOf(err) != chat.Conflict {
			return err
		}
	}
}

// fits returns why the map is not one of this Store. It may name shards behind those that
// are open here, which own nothing: other nodes have opened them.
func (s *Store) fits(m *Map) error {
	if err := m.Check(); err != nil {
		return err
	}
	fits := len(m.Shards) >= len(s.shards) && int(slices.Max(m.Owner[:])) < len(s.shards)
	for i := 0; fits && i < len(s.shards); i++ {
		fits = m.Shards[i] == s.shards[i].Name()
	}
	if !fits {
		return &chat.Error{Kind: chat.Conflict, Op: "store.reload", Text: "the stored slot map names other shards than are open"}
	}
	return nil
}

// Base is Map.Base.
func (s *Store) Base() chat.Rev { return s.slots.Load().Base }

// Room returns the shard of a room, for reading.
func (s *Store) Room(id chat.RoomID) *Reader { return &s.shards[s.ShardOf(id.Slot())].Reader }

// User returns the shard of a user, for reading.
func (s *Store) User(id chat.UserID) *Reader { return &s.shards[s.ShardOf(id.Slot())].Reader }

// Users returns what is known of the users, by id, asking all shards concerned at
// the same time.
func (s *Store) Users(ctx context.Context, users []chat.UserID) (map[chat.UserID]chat.User, error) {
	out := make(map[chat.UserID]chat.User, len(users))
	err := spread(s, users, func(id *chat.UserID) chat.Slot { return id.Slot() },
		func(r *Reader, ids []chat.UserID) ([]chat.User, error) { return r.Users(ctx, ids) },
		func(us []chat.User, _ []int) {
			for _, u := range us {
				out[u.ID] = u
			}
		})
	return out, err
}

// Check checks every shard; each line starts with the shard's name.
func (s *Store) Check(ctx context.Context) ([]string, error) {
	var out []string
	for _, d := range s.shards {
		lines, err := d.Check(ctx)
		if err != nil {
			return out, err
		}
		for _, l := range lines {
			out = append(out, d.name+": "+l)
		}
	}
	return out, nil
}

// Close closes all shards, the control database, and the Opener that has opened
// them.
func (s *Store) Close() error {
	var errs []error
	for _, d := range s.shards {
		errs = append(errs, d.driver.Close())
	}
	if s.Control != nil {
		errs = append(errs, s.Control.Close())
	}
	if s.opener != nil {
		errs = append(errs, s.opener.Close())
	}
	return errors.Join(errs...)
}
