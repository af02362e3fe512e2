package engine

import "github.com/roomtide/roomtide/change"

func (e *Engine) prepareLeave(a *Actor, c *change.Leave) error {
	c.User = a.User
	if err := e.checkRoom(c.Room); err != nil {
		return err
	}
	return e.rates.change(a, c.Room)
}
