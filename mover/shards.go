package mover

import (
	"context"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Shard is a shard as operators see it, also as JSON.
type Shard struct {
	Name  string `json:"name"`
	Slots string `json:"slots"` // that it owns; "" for none
	Count int    `json:"slot_count"`

	// What it holds, absent if that is not known.
	*store.Size

	Lag     int64  `json:"lag"` // commits that a consumer of its outbox has still to work on
	Healthy bool   `json:"healthy"`
	Error   string `json:"error,omitempty"` // why it is not
}

// Shards are the shards of this node, in the order of the slot map. A shard that does
// not answer is among them, with its error.
func (m *Mover) Shards(ctx context.Context) []Shard {
	shards := m.cfg.Store.Shards()
	sets := make([]store.SlotSet, len(shards))
	for slot := range chat.Slot(chat.Slots) {
		sets[m.cfg.Store.ShardOf(slot)].Add(slot)
	}
	out := make([]Shard, len(shards))
	for i, s := range shards {
		out[i] = Shard{Name: s.Name(), Slots: sets[i].String(), Count: sets[i].Len(), Lag: m.cfg.Lag(i)}
		err := m.cfg.Lanes.ErrOf(i)
		if err == nil {
			out[i].Size, err = size(ctx, s)
		}
		if out[i].Healthy = err == nil; err != nil {
			out[i].Error = words(err)
		}
	}
	return out
}

// size asks the shard how large it is; nil if it does not know.
func size(ctx context.Context, s *store.Shard) (*store.Size, error) {
	size, known, err := s.Size(ctx)
	if !known {
		return nil, err
	}
	return &size, nil
}
