package engine

import (
	"context"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

// Edit replaces the text of a message, and its data unless nil. It never blocks.
func (e *Engine) Edit(a Actor, room chat.RoomID, seq chat.Seq, text string, data []byte, done Done) {
	op, err := e.edit(&a, room, seq, text, data)
	e.submit(room, op, err, done)
}

// EditWait is Edit for callers that wait.
func (e *Engine) EditWait(ctx context.Context, a Actor, room chat.RoomID, seq chat.Seq, text string, data []byte) (wire.SendReply, error) {
	op, err := e.edit(&a, room, seq, text, data)
	return e.wait(ctx, room, op, err)
}

func (e *Engine) edit(a *Actor, room chat.RoomID, seq chat.Seq, text string, data []byte) (change.Change, error) {
	d := chat.Draft{Text: text, Data: data}
	if err := d.Check(&e.cfg.Limits); err != nil {
		return nil, err
	}
	if err := e.checkChange(a, room, seq); err != nil {
		return nil, err
	}
	return &change.Edit{Room: room, Seq: seq, User: a.User, Server: a.Server, Text: text, Data: data}, nil
}

// Delete makes a message a tombstone. It never blocks.
func (e *Engine) Delete(a Actor, room chat.RoomID, seq chat.Seq, done Done) {
	op, err := e.delete(&a, room, seq)
	e.submit(room, op, err, done)
}

// DeleteWait is Delete for callers that wait.
func (e *Engine) DeleteWait(ctx context.Context, a Actor, room chat.RoomID, seq chat.Seq) (wire.SendReply, error) {
	op, err := e.delete(&a, room, seq)
	return e.wait(ctx, room, op, err)
}

func (e *Engine) delete(a *Actor, room chat.RoomID, seq chat.Seq) (change.Change, error) {
	if err := e.checkChange(a, room, seq); err != nil {
		return nil, err
	}
	return &change.Delete{Room: room, Seq: seq, User: a.User, Server: a.Server}, nil
}

// checkChange is what every change of a message starts with.
func (e *Engine) checkChange(a *Actor, room chat.RoomID, seq chat.Seq) error {
	if err := e.checkRoom(room); err != nil {
		return err
	}
	if seq <= 0 {
		return chat.E(chat.Invalid, "seq is missing or not a message number")
	}
	return e.rates.change(a, room)
}

// wait hands op to its lane and waits for the outcome.
func (e *Engine) wait(ctx context.Context, room chat.RoomID, op change.Change, err error) (wire.SendReply, error) {
	if err != nil {
		return wire.SendReply{}, err
	}
	r, err := e.cfg.Lanes.Do(ctx, op)
	return sendReply(room, r), err
}
