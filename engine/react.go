package engine

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

func (e *Engine) prepareReact(a *Actor, c *change.React) error {
	c.User, c.Server = a.User, a.Server
	if a.User == "" {
		return chat.E(chat.Invalid, "say as which user to react")
	}
	if err := chat.CheckEmoji(c.Emoji, &e.cfg.Limits); err != nil {
		return err
	}
	return e.checkMessage(a, c.Room, c.Seq)
}
