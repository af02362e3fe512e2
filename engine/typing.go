package engine

import (
	"context"

	"github.com/roomtide/roomtide/chat"
)

// Typing publishes that the actor is writing in the room, or stopped. It is not
// stored, and may get lost. Errors: Invalid, NotMember, RateLimited.
func (e *Engine) Typing(ctx context.Context, a Actor, room chat.RoomID, on bool) error {
	if err := e.checkSignal(ctx, &a, room); err != nil {
		return err
	}
	e.cfg.Publish(&chat.Event{Kind: chat.EventTyping, Room: room, User: a.User, On: on})
	return nil
}

// checkSignal is what typing and read marks are checked for.
func (e *Engine) checkSignal(ctx context.Context, a *Actor, room chat.RoomID) error {
	if a.User == "" {
		return chat.E(chat.Invalid, "say for which user")
	}
	if !a.Server {
		if err := e.rates.signal.Take(a.User); err != nil {
			return err
		}
	}
	return e.checkRead(ctx, a, room)
}
