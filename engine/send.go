package engine

import (
	"context"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

// Done receives the outcome of a change, once: from the room's lane after the
// commit, or from the caller's goroutine when the change was refused at once.
// It must not block.
type Done func(wire.SendReply, error)

// Send writes a message. It never blocks.
func (e *Engine) Send(a Actor, room chat.RoomID, d chat.Draft, done Done) {
	op, err := e.send(&a, room, d)
	e.submit(room, op, err, done)
}

// Post is Send for callers that wait. repeated says that the draft's key was
// used before and this is the first attempt's reply.
func (e *Engine) Post(ctx context.Context, a Actor, room chat.RoomID, d chat.Draft) (r wire.SendReply, repeated bool, err error) {
	op, err := e.send(&a, room, d)
	if err != nil {
		return r, false, err
	}
	lr, err := e.cfg.Lanes.Do(ctx, op)
	return sendReply(room, lr), lr.Repeated, err
}

func (e *Engine) send(a *Actor, room chat.RoomID, d chat.Draft) (change.Change, error) {
	if err := e.checkRoom(room); err != nil {
		return nil, err
	}
	if a.User == "" {
		return nil, chat.E(chat.Invalid, "say as which user to send")
	}
	if err := d.Check(&e.cfg.Limits); err != nil {
		return nil, err
	}
	if err := e.rates.change(a, room); err != nil {
		return nil, err
	}
	return &change.Send{Room: room, User: a.User, Server: a.Server, Draft: d}, nil
}

// submit hands op to its lane, or err to done.
func (e *Engine) submit(room chat.RoomID, op change.Change, err error, done Done) {
	if err != nil {
		done(wire.SendReply{}, err)
		return
	}
	e.cfg.Lanes.Submit(op, func(r change.Reply, err error) { done(sendReply(room, r), err) })
}

func sendReply(room chat.RoomID, r change.Reply) wire.SendReply {
	return wire.SendReply{Room: room, Seq: r.Seq, Rev: r.Rev, Time: r.Time}
}
