// Package onward hands on what follows from commits in other lanes: changes that a commit
// has left in the outbox (store.Entry.Onward). So an address of a device that is registered
// under one user is taken from another, in whatever shards the two and the address are.
package onward

import (
	"context"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/store"
)

// Lanes is what the consumer needs of lane.Lanes.
type Lanes interface {
	Do(ctx context.Context, op change.Change) (change.Reply, error)
}

// Changes returns the consumer that hands the changes on, each at least once. Those for one
// shard are in their order; a shard that is down holds up no other.
func Changes(st *store.Store, lanes Lanes) outbox.Consumer {
	return outbox.Consumer{
		Name: "onward", Start: outbox.FromOldest,
		Parts: func(_ context.Context, _ int, e *store.Entry) (parts []outbox.Part, err error) {
			for _, b := range e.Onward {
				c, err := change.Decode(b)
				if err != nil {
					return nil, err
				}
				parts = append(parts, outbox.Part{Target: st.ShardOf(c.Slot()), Size: c.Size(), Do: func(ctx context.Context) error {
					_, err := lanes.Do(ctx, c)
					return err
				}})
			}
			return parts, nil
		},
	}
}
