package relay

import (
	"context"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// What the owner of a lane finds in the durable queue for slots that have left the lane. Its
// senders may be gone, so the owner hands it on.

// handedOver is a change that is handed on until it is decided.
type handedOver struct {
	relay   *Relay
	change  change.Change
	done    change.Done
	decided chan bool // cap 1
}

// handOver hands a change on, behind those of its slot that were handed on before.
func (t *tenure) handOver(ctx context.Context, c change.Change, done change.Done) error {
	if before := t.reading.handed[c.Slot()]; before != nil {
		if err := before.wait(ctx); err != nil {
			return err
		}
	}
	h := &handedOver{relay: t.relay, change: c, done: done, decided: make(chan bool, 1)}
	t.reading.handed[c.Slot()] = h
	h.try()
	return nil
}

func (h *handedOver) try() {
	byMap := h.relay.cfg.MapVersion()
	h.relay.again(h.relay.cfg.Place(h.change), entry{handed: true, byMap: byMap, done: func(reply change.Reply, err error) {
		switch chat.KindOf(err) {
		case chat.Unavailable, chat.Busy: // it may be done, and is the same if it is done again
			h.decided <- false
			return
		}
		h.done(reply, err)
		h.decided <- true
	}})
}

// wait returns when the change is decided, which it may have to be handed on again for.
func (h *handedOver) wait(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return errOver
		case decided := <-h.decided:
			if decided {
				h.decided <- true // for the next call
				return nil
			}
		}
		if !pause(ctx, retryTake) {
			return errOver
		}
		h.try()
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
