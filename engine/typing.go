package engine

import (
	"context"

	"github.com/roomtide/roomtide/chat"
)

// Typing publishes that the actor is writing in the room, or stopped. It is not
// stored, and may get lost. Errors: Invalid, NotMember, Forbidden (a message would be
// refused: chat.CanPost), RateLimited.
func (e *Engine) Typing(ctx context.Context, a Actor, room chat.RoomID, on bool) error {
	_, err := within(ctx, e, func(ctx context.Context) (struct{}, error) { return struct{}{}, e.typing(ctx, a, room, on) })
	return err
}

func (e *Engine) typing(ctx context.Context, a Actor, room chat.RoomID, on bool) error {
	if err := e.checkSignal(&a); err != nil {
		return err
	}
	look, m, err := e.look(ctx, &a, room)
	if err != nil {
		return err
	}
	if on && !a.Server {
		r, err := look.Room(ctx)
		if err != nil {
			return err
		}
		if err := chat.CanPost(&r, m.Role); err != nil {
			return err
		}
	}
	e.cfg.Publish(&chat.Event{Kind: chat.EventTyping, Room: room, User: a.User, On: on})
	return nil
}

// checkSignal is what typing and read marks are checked for, before the room is read.
func (e *Engine) checkSignal(a *Actor) error {
	if a.User == "" {
		return chat.E(chat.Invalid, "say for which user")
	}
	if a.Server {
		return nil
	}
	return e.rates.signal.Take(a.User)
}
