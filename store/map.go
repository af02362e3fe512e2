package store

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/roomtide/roomtide/chat"
)

// Map says which shard owns which slot. It is versioned: moving a slot makes a
// new map, and so does a shard that is added or taken out. A shard may own nothing.
type Map struct {
	Version int64
	Shards  []string // name of each shard: a file in the data dir, or a configured name
	Owner   [chat.Slots]uint16

	// Moved is the version in which a slot has got its owner, of slots that have moved.
	Moved map[chat.Slot]int64

	// Base is the rev on which rooms begin that have never been. It is 0, and raised
	// with the revs of all rooms when the deployment was put back to an earlier state
	// (Store.Rebase): no rev that was used before, in a history that is lost, is used
	// again. A new map has that of the map before it.
	Base chat.Rev

	// Rising is the Base to come while the revs are raised, else 0. Some shards may
	// have raised them and others not: nothing is written until the next Rebase.
	Rising chat.Rev
}

// NewMap spreads all slots evenly over the shards, in runs.
func NewMap(shards []string) *Map {
	m := &Map{Version: 1, Shards: shards}
	for s := range m.Owner {
		m.Owner[s] = uint16(s * len(shards) / chat.Slots)
	}
	return m
}

// mapBody is the stored form of a slot map, without its version.
type mapBody struct {
	Shards []string            `json:"shards"`
	Owner  [chat.Slots]uint16  `json:"owner"`
	Moved  map[chat.Slot]int64 `json:"moved,omitempty"`
	Base   chat.Rev            `json:"base,omitempty"`
	Rising chat.Rev            `json:"rising,omitempty"`
}

// Encode returns the map as control databases store it, beside its version.
func (m *Map) Encode() ([]byte, error) {
	return json.Marshal(mapBody{m.Shards, m.Owner, m.Moved, m.Base, m.Rising})
}

// DecodeMap reads what Encode has returned.
func DecodeMap(version int64, body []byte) (*Map, error) {
	var b mapBody
	if err := json.Unmarshal(body, &b); err != nil {
		return nil, fmt.Errorf("slot map %d: %w", version, err)
	}
	return &Map{Version: version, Shards: b.Shards, Owner: b.Owner, Moved: b.Moved, Base: b.Base, Rising: b.Rising}, nil
}

// Check reports what is wrong with the map, nil if nothing.
func (m *Map) Check() error {
	if len(m.Shards) == 0 {
		return chat.E(chat.Invalid, "slot map without shards")
	}
	for s, o := range m.Owner {
		if int(o) >= len(m.Shards) {
			return chat.E(chat.Invalid, fmt.Sprintf("slot %d belongs to shard %d of %d", s, o, len(m.Shards)))
		}
	}
	return nil
}

// Slots returns the number of slots that each shard owns, in the order of Shards.
func (m *Map) Slots() []int {
	n := make([]int, len(m.Shards))
	for _, o := range m.Owner {
		n[o]++
	}
	return n
}

// With returns m with the shards that it does not name added as owners of nothing.
func (m *Map) With(names []string) *Map {
	next := *m
	next.Shards = slices.Clone(m.Shards)
	for _, name := range names {
		if !slices.Contains(next.Shards, name) {
			next.Shards = append(next.Shards, name)
		}
	}
	return &next
}

// Without returns m without the shards, which own nothing.
func (m *Map) Without(names []string) *Map {
	next := &Map{Version: m.Version, Moved: m.Moved, Base: m.Base, Rising: m.Rising}
	index := make([]uint16, len(m.Shards))
	for i, name := range m.Shards {
		index[i] = uint16(len(next.Shards))
		if !slices.Contains(names, name) {
			next.Shards = append(next.Shards, name)
		}
	}
	for s, o := range m.Owner {
		next.Owner[s] = index[o]
	}
	return next
}
