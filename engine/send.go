package engine

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

func (e *Engine) prepareSend(a *Actor, c *change.Send) error {
	c.User, c.Server = a.User, a.Server
	if err := e.checkRoom(c.Room); err != nil {
		return err
	}
	if a.User == "" {
		return chat.E(chat.Invalid, "say as which user to send")
	}
	if err := c.Draft.Check(&e.cfg.Limits); err != nil {
		return err
	}
	return e.rates.change(a, c.Room)
}
