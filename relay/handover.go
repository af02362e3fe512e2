package relay

import (
	"context"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// handOver hands a change on that the owner of a lane finds in the durable queue, and whose slot
// has left the lane: its sender may be gone. It reports whether that is decided; until it is, nothing
// behind it in the queue is taken, so that the progress of the lane does not pass it.
func (t *tenure) handOver(ctx context.Context, c change.Change, done change.Done) (bool, error) {
	if isOfLane(c) {
		done(change.Reply{}, unreachable())
		return true, nil
	}
	r, decided := t.relay, make(chan bool, 1)
	byMap, parts := r.cfg.MapVersion(), r.cfg.Place(c)
	if _, here := parts[t.lane]; here { // again: it would come behind itself in the queue
		if len(parts) == 1 {
			return false, nil
		}
		// Entries of who is online, of which some have left the lane. The node that has them writes
		// them again, each to its lane.
		done(change.Reply{}, unreachable())
		return true, nil
	}
	r.again(parts, entry{handed: true, byMap: byMap, done: func(reply change.Reply, err error) {
		if chat.KindOf(err) == chat.Unavailable || change.IsFull(err) { // it may be done, and is the same if it is done again
			decided <- false
			return
		}
		done(reply, err)
		decided <- true
	}})
	select {
	case <-ctx.Done():
		return false, errOver
	case ok := <-decided:
		if !ok && !pause(ctx, retryTake) {
			return false, errOver
		}
		return ok, nil
	}
}

// LeaveQueue ends what this node, as the owner of the lane, does with the durable queue. It is
// called before Own for a lane that is being given up: while its commits come to their end,
// the next owner may have begun, and lets the queue forget what this one is still to read.
func (r *Relay) LeaveQueue(lane int) {
	if t := r.tenure(lane); t != nil {
		t.reading.stop()
	}
}

// HoldQueue keeps this node, as the owner of the lane, from taking more of the durable queue,
// and returns when all is decided that it has taken. Release lets it go on. Unavailable if ctx
// ends first.
func (r *Relay) HoldQueue(ctx context.Context, lane int) (release func(), err error) {
	t := r.tenure(lane)
	if t == nil || r.cfg.Queue == nil {
		return func() {}, nil
	}
	held := 0
	release = func() {
		for range held {
			<-t.reading.slots
		}
	}
	for ; held < maxReading; held++ {
		select {
		case t.reading.slots <- struct{}{}:
		case <-ctx.Done():
			release()
			return nil, &chat.Error{Kind: chat.Unavailable, Op: "relay.hold_queue", Err: ctx.Err()}
		}
	}
	return release, nil
}
