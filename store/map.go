package store

import (
	"fmt"

	"github.com/roomtide/roomtide/chat"
)

// Map says which shard owns which slot. It is versioned: moving a slot makes a
// new map.
type Map struct {
	Version int64
	Shards  []string // name of each shard: a file in the data dir, or a configured name
	Owner   [chat.Slots]uint16

	// Base is the rev on which rooms begin that have never been. It is 0, and raised
	// with the revs of all rooms when the deployment was put back to an earlier state
	// (Store.Rebase): no rev that was used before, in a history that is lost, is used
	// again. A new map has that of the map before it.
	Base chat.Rev
}

// NewMap spreads all slots evenly over the shards, in runs.
func NewMap(shards []string) *Map {
	m := &Map{Version: 1, Shards: shards}
	for s := range m.Owner {
		m.Owner[s] = uint16(s * len(shards) / chat.Slots)
	}
	return m
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
