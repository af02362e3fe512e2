package engine

import (
	"context"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

// React puts the actor's reaction under a message, or takes it away. It never
// blocks.
func (e *Engine) React(a Actor, room chat.RoomID, seq chat.Seq, emoji string, on bool, done Done) {
	op, err := e.react(&a, room, seq, emoji, on)
	e.submit(room, op, err, done)
}

// ReactWait is React for callers that wait.
func (e *Engine) ReactWait(ctx context.Context, a Actor, room chat.RoomID, seq chat.Seq, emoji string, on bool) (wire.SendReply, error) {
	op, err := e.react(&a, room, seq, emoji, on)
	return e.wait(ctx, room, op, err)
}

func (e *Engine) react(a *Actor, room chat.RoomID, seq chat.Seq, emoji string, on bool) (change.Change, error) {
	if a.User == "" {
		return nil, chat.E(chat.Invalid, "say as which user to react")
	}
	if err := chat.CheckEmoji(emoji, &e.cfg.Limits); err != nil {
		return nil, err
	}
	if err := e.checkChange(a, room, seq); err != nil {
		return nil, err
	}
	return &change.React{Room: room, Seq: seq, User: a.User, Server: a.Server, Emoji: emoji, On: on}, nil
}
