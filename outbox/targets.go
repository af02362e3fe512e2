package outbox

import (
	"context"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// Targets is the work of an entry by the shard that it needs, for Consumer.Parts.
type Targets[T any] map[int]*load[T]

type load[T any] struct {
	items []T
	size  int
}

// Add adds an item of about so many bytes to a shard's.
func (ts Targets[T]) Add(shard int, item T, size int) {
	l := ts[shard]
	if l == nil {
		l = &load[T]{}
		ts[shard] = l
	}
	l.items, l.size = append(l.items, item), l.size+size
}

// Parts are done by do, which gets the items of one target.
func (ts Targets[T]) Parts(do func(context.Context, []T) error) (parts []Part) {
	for shard, l := range ts {
		parts = append(parts, Part{Target: shard, Size: l.size, Do: func(ctx context.Context) error { return do(ctx, l.items) }})
	}
	return parts
}

// Submitter takes changes (lane.Lanes).
type Submitter interface {
	Submit(op change.Change, done change.Done)
}

// Submit submits changes, all at once, and waits for them, or until ctx ends. It returns
// an error that one of them met.
func Submit(ctx context.Context, lanes Submitter, changes []change.Change) (failed error) {
	outcomes := make(chan error, len(changes))
	for _, c := range changes {
		lanes.Submit(c, func(_ change.Reply, err error) { outcomes <- err })
	}
	for range changes {
		select {
		case err := <-outcomes:
			if err != nil {
				failed = err
			}
		case <-ctx.Done():
			return &chat.Error{Kind: chat.Unavailable, Op: "outbox.submit", Err: ctx.Err()}
		}
	}
	return failed
}
