package engine

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

func (e *Engine) prepareSetMember(a *Actor, c *change.SetMember) error {
	c.By, c.Server = a.User, a.Server
	if err := e.checkRoom(c.Room); err != nil {
		return err
	}
	if err := chat.CheckID("user", string(c.User), e.cfg.Limits.IDBytes); err != nil {
		return err
	}
	if err := chat.CheckName("name", c.Name, e.cfg.Limits.NameBytes); err != nil {
		return err
	}
	return e.rates.change(a, c.Room)
}
