package engine

import (
	"context"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/wire"
)

const (
	// nameTime is how long a message waits for its author's name, which is no reason to
	// keep it out of the durable queue.
	nameTime = time.Second
	// sentTime is how long Sent waits for the room's database before it says that a message
	// which was accepted is not decided yet.
	sentTime = 2 * time.Second
)

func (e *Engine) prepareSend(a *Actor, c *change.Send) error {
	c.User, c.Server, c.Known = a.User, a.Server, ""
	if err := e.checkRoom(c.Room); err != nil {
		return err
	}
	if a.User == "" {
		return chat.E(chat.Invalid, "say as which user to send")
	}
	if c.Name != "" && !a.Server {
		return chat.E(chat.Forbidden, "only the host's back end says what the author is called")
	}
	if err := chat.CheckName("name", c.Name, e.cfg.Limits.NameBytes); err != nil {
		return err
	}
	if err := c.Draft.Check(&e.cfg.Limits); err != nil {
		return err
	}
	return e.rates.change(a, c.Room)
}

// Send is Do for a message of a caller that does not wait for its outcome if it takes
// longer than wait and the message was accepted by the durable queue. Then there is no
// error and no reply, and queued says where the message waits, for Sent. Wait counts from
// the call, and ends with patience. The message is not the caller's again in that case.
func (e *Engine) Send(ctx context.Context, a Actor, c *change.Send, wait time.Duration) (r change.Reply, queued *change.Queued, err error) {
	if err := e.prepare(&a, c); err != nil {
		return change.Reply{}, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Patience)
	defer cancel()
	waited := time.NewTimer(wait)
	defer waited.Stop()
	e.stampNamesSoon(ctx, c)

	w := waiter{outcome: make(chan Outcome, 1), accepted: make(chan change.Queued, 1)}
	c.Accepted = w.accept
	e.hand(c, func(r change.Reply, err error) { w.outcome <- Outcome{Reply: r, Err: err} })
	return w.wait(ctx, waited.C, string(c.Room))
}

// waiter waits for what comes of one message.
type waiter struct {
	outcome  chan Outcome       // cap 1
	accepted chan change.Queued // cap 1
}

// accept is change.Send.Accepted. It runs once more when the message goes on to another
// lane, when nothing may read the channel any more.
func (w *waiter) accept(at change.Queued) {
	select {
	case w.accepted <- at:
	default:
	}
}

// wait returns the outcome, or where the message waits when it is over.
func (w *waiter) wait(ctx context.Context, over <-chan time.Time, room string) (change.Reply, *change.Queued, error) {
	var queued *change.Queued
	for patient := true; patient || queued == nil; {
		select {
		case at := <-w.accepted:
			queued = &at
		case o := <-w.outcome:
			select {
			case at := <-w.accepted: // it came before
				queued = &at
			default:
			}
			if queued != nil && chat.KindOf(o.Err) == chat.Unavailable { // this node stops: the queue has the message
				return change.Reply{}, queued, nil
			}
			return o.Reply, nil, later(o.Err)
		case <-over:
			patient = false
		case <-ctx.Done():
			if patient = false; queued == nil {
				err := unanswered("engine.send")
				err.Subject, err.Err = room, ctx.Err()
				return change.Reply{}, nil, err
			}
		}
	}
	return change.Reply{}, queued, nil
}

// stampNamesSoon is stampNames, and does without names that take long.
func (e *Engine) stampNamesSoon(ctx context.Context, c change.Change) {
	ctx, cancel := context.WithTimeout(ctx, nameTime)
	defer cancel()
	e.stampNames(ctx, c)
}

// Sent answers with what came of a message that the actor has sent to the room with the
// key: the reply of its first attempt. It is asked like what the room holds (History).
// Of a message that was accepted, queued says where it waits (Send); then waiting says
// that it is not decided yet, as far as the room's database can be asked, and NotFound
// that it was refused. Without queued, NotFound says no more than that the message is not
// there. Errors besides: those of History.
func (e *Engine) Sent(ctx context.Context, a Actor, room chat.RoomID, key string, queued *change.Queued) (r wire.ChangeReply, waiting bool, err error) {
	if queued != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, sentTime)
		defer cancel()
	}
	r, err = question(ctx, e, &a, func(ctx context.Context) (r wire.ChangeReply, err error) {
		r, waiting, err = e.sent(ctx, &a, room, key, queued)
		return r, err
	})
	if queued != nil && chat.KindOf(err) == chat.Unavailable {
		return wire.ChangeReply{}, true, nil
	}
	return r, waiting, err
}

func (e *Engine) sent(ctx context.Context, a *Actor, room chat.RoomID, key string, queued *change.Queued) (r wire.ChangeReply, waiting bool, err error) {
	if a.User == "" {
		return r, false, chat.E(chat.Invalid, "say which user has sent the message")
	}
	if key == "" {
		return r, false, chat.E(chat.Invalid, "key is missing")
	}
	if err := chat.CheckKey(key, &e.cfg.Limits); err != nil {
		return r, false, err
	}
	if err := e.checkRead(ctx, a, room); err != nil {
		return r, false, err
	}
	shard := e.cfg.Store.ShardOf(room.Slot())
	m, taken, err := e.cfg.Store.Shards()[shard].Sent(ctx, 0, store.MessageKey{Room: room, User: a.User, Key: key})
	switch {
	case err != nil:
		return r, false, err
	case m != nil:
		return wire.ChangeReply{Room: room, Seq: m.Seq, Rev: m.Created, Time: m.Time}, false, nil
	case queued == nil || queued.Lane != shard: // the room may have moved to another lane since
		return r, false, chat.E(chat.NotFound, "there is no message with this key; it may still be on its way")
	case taken < queued.Entry:
		return r, true, nil
	}
	return r, false, chat.E(chat.NotFound, "the message was refused; send it again with its key to learn why")
}
