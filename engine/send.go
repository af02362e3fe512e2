package engine

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
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
